"""The database that the environment names, and what is said when it names none that will do."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.database import check_server, connect_engine, resolve_database_url
from sync_pipelines.store.embedded import EmbeddedServer, stop


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"], ids=lambda scheme: scheme
)
def test_given_a_server_both_drivers_are_spelt_out(scheme: str) -> None:
    urls = resolve_database_url({"SYNC_DATABASE_URL": f"{scheme}://u:p%40ss@db:5433/app?sslmode=require"})
    assert urls.sync_url == "postgresql+psycopg://u:p%40ss@db:5433/app?sslmode=require"
    assert urls.dagster_url == "postgresql+psycopg2://u:p%40ss@db:5433/app?sslmode=require"
    assert not urls.embedded


def test_dagster_can_be_given_a_database_of_its_own() -> None:
    urls = resolve_database_url(
        {"SYNC_DATABASE_URL": "postgresql://db/app", "SYNC_DAGSTER_DATABASE_URL": "postgresql://other/dagster"}
    )
    assert (urls.sync_url, urls.dagster_url) == ("postgresql+psycopg://db/app", "postgresql+psycopg2://other/dagster")


def test_without_a_named_server_the_embedded_one_is_started_with_both_databases(tmp_path: Path) -> None:
    urls = resolve_database_url({"SYNC_HOME": str(tmp_path)})
    try:
        assert urls.embedded
        for url in (urls.sync_url, urls.dagster_url):
            engine = connect_engine(url) if "psycopg:" in url else connect_engine(url.replace("psycopg2", "psycopg"))
            with engine.connect() as connection:
                assert connection.execute(text("SELECT current_database()")).scalar_one() in ("sync", "dagster")
            engine.dispose()
    finally:
        stop(tmp_path / "postgres")


@pytest.mark.parametrize("variable", ["SYNC_DATABASE_URL", "SYNC_DAGSTER_DATABASE_URL"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is set but empty"),
        ("hunter2 is not a URL", "is not a database URL"),
        ("postgresql://u:hunter2@db:port/app", "is not a database URL"),
        ("mysql://u:hunter2@db/app", "starts with mysql://"),
        ("postgresql+asyncpg://u:hunter2@db/app", "starts with postgresql+asyncpg://"),
        ("postgresql://u:hunter2@db", "names no database"),
    ],
)
def test_a_bad_url_is_refused_naming_the_variable_and_no_password(variable: str, value: str, said: str) -> None:
    good = {"SYNC_DATABASE_URL": "postgresql://db/app"}
    with pytest.raises(ConfigurationError) as refused:
        resolve_database_url(good | {variable: value})
    message = str(refused.value)
    assert message.startswith(f"{variable} {said}")
    assert f"unset {variable}" in message
    assert "hunter2" not in message
    assert refused.value.__cause__ is None


def test_passwords_stay_out_of_the_representation() -> None:
    assert "hunter2" not in repr(resolve_database_url({"SYNC_DATABASE_URL": "postgresql://u:hunter2@db/app"}))


def test_sessions_speak_utc_whatever_the_servers_default(postgres_server: EmbeddedServer, database_url: str) -> None:
    with postgres_server.connect() as connection:
        connection.execute("ALTER ROLE sync SET timezone TO 'Asia/Tokyo'")
    engine = connect_engine(database_url)
    try:
        with engine.connect() as connection:
            assert connection.execute(text("SHOW timezone")).scalar_one() == "UTC"
            connection.rollback()
            assert connection.execute(text("SHOW timezone")).scalar_one() == "UTC"
    finally:
        engine.dispose()
        with postgres_server.connect() as connection:
            connection.execute("ALTER ROLE sync RESET timezone")


def test_a_connection_that_died_in_the_pool_is_replaced(postgres_server: EmbeddedServer, engine: Engine) -> None:
    with engine.connect() as connection:
        first = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with postgres_server.connect() as administration:
        administration.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != first


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    engine = connect_engine("postgresql+psycopg://u:hunter2@127.0.0.1:1/app")
    with pytest.raises(ConfigurationError, match="No connection to the database") as refused:
        check_server(engine)
    assert "127.0.0.1:1/app" in str(refused.value)
    assert "mend SYNC_DATABASE_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_database_that_is_not_utf8_is_refused(postgres_server: EmbeddedServer) -> None:
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    engine = connect_engine(postgres_server.url("latin"))
    with pytest.raises(ConfigurationError, match="encoding LATIN1"):
        check_server(engine)
    engine.dispose()
