"""Which PostgreSQL the project uses, and connections to it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.embedded import ensure_running
from sync_pipelines.store.home import home_folder
from sync_pipelines.store.postgres_binaries import OLDEST_MAJOR

SYNC_VARIABLE = "SYNC_DATABASE_URL"
DAGSTER_VARIABLE = "SYNC_DAGSTER_DATABASE_URL"
_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2")
_EXAMPLE = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class DatabaseUrls:
    """Where the data lives, as SQLAlchemy URLs. They hold passwords and stay out of the representation.

    Attributes:
        sync_url: our tables (schema ``sync``), through psycopg 3.
        dagster_url: Dagster's tables (schema ``public``), through psycopg2.
        embedded: whether the server is ours to start and stop.
    """

    sync_url: str = field(repr=False)
    dagster_url: str = field(repr=False)
    embedded: bool


def resolve_database_url(env: Mapping[str, str] | None = None) -> DatabaseUrls:
    """The databases named by the environment; without ``SYNC_DATABASE_URL`` the embedded server, started when needed.

    On a server of your own, Dagster shares our database unless ``SYNC_DAGSTER_DATABASE_URL`` names another. The
    embedded server has one database for each, ``sync`` and ``dagster``.

    The drivers are always spelt out: with SQLAlchemy 2.1 a bare ``postgresql://`` means psycopg 3, whose bound
    parameters make dagster-postgres' ``NOTIFY`` a syntax error.

    Raises:
        ConfigurationError: a variable does not hold the URL of a PostgreSQL database, or the embedded server cannot
            start. Passwords are not repeated.
    """
    env = os.environ if env is None else env
    named = _named_url(env, SYNC_VARIABLE)
    dagster = _named_url(env, DAGSTER_VARIABLE)
    if named is not None:
        return DatabaseUrls(_render(named, "psycopg"), _render(dagster or named, "psycopg2"), embedded=False)
    server = ensure_running(home_folder(env) / "postgres")
    server.ensure_database("sync")
    if dagster is None:
        server.ensure_database("dagster")
    dagster_url = server.url("dagster", "psycopg2") if dagster is None else _render(dagster, "psycopg2")
    return DatabaseUrls(server.url("sync"), dagster_url, embedded=True)


def connect_engine(url: str, *, application_name: str = "sync-pipelines", pool_size: int = 5) -> Engine:
    """A SQLAlchemy engine for our store. Nothing is connected yet.

    Sessions speak UTC whatever the server's default, and numbers in JSON come back as exact decimals. Connections
    that died in the pool are replaced unseen.

    Arguments:
        url: as from :func:`resolve_database_url`.
        application_name: shown in ``pg_stat_activity``.
        pool_size: connections kept open; as many again may be opened for a while.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
        pool_pre_ping=True,
        json_deserializer=_exact_json,
        connect_args={"application_name": application_name, "connect_timeout": 10},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        # As text, each element is escaped in Python: a list of eight documents takes a hundred times as long.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        # As a statement: connection poolers such as PgBouncer refuse the start-up parameter "options".
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        connection.commit()

    return engine


def check_server(engine: Engine) -> None:
    """Make sure that the server answers and is one we can work with.

    Raises:
        ConfigurationError: it cannot be reached or refuses us, is older than PostgreSQL 14, or is not UTF-8.
    """
    try:
        with engine.connect() as connection:
            version, encoding = connection.execute(
                text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
            ).one()
    except OperationalError as error:
        place = engine.url.render_as_string(hide_password=True)
        raise ConfigurationError(
            f"No connection to the database {place}: {_first_line(error)}. "
            f"Start that server, mend {SYNC_VARIABLE}, or unset it to use the embedded server."
        ) from None
    if version < OLDEST_MAJOR * 10_000:
        raise ConfigurationError(
            f"{SYNC_VARIABLE} names a PostgreSQL {version // 10_000}; version {OLDEST_MAJOR} or newer is needed."
        )
    if encoding != "UTF8":
        raise ConfigurationError(f"{SYNC_VARIABLE} names a database with encoding {encoding}; create one with UTF8.")


# json.loads() would make one for every document, which takes as long as to read a small one.
_DECODER = json.JSONDecoder(parse_float=Decimal)


def _exact_json(document: str | bytes) -> Any:
    return _DECODER.decode(document if isinstance(document, str) else document.decode())


def _named_url(env: Mapping[str, str], variable: str) -> URL | None:
    given = env.get(variable)
    if given is None:
        return None
    mend = f"Give it as {_EXAMPLE}, or unset {variable}."
    if not given.strip():
        raise ConfigurationError(f"{variable} is set but empty. {mend}")
    try:
        url = make_url(given.strip())
    except (ArgumentError, ValueError):
        # Not chained: SQLAlchemy's message repeats the text, password included.
        raise ConfigurationError(f"{variable} is not a database URL. {mend}") from None
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(f"{variable} starts with {url.drivername}://; only PostgreSQL is supported. {mend}")
    if not url.database:
        raise ConfigurationError(f"{variable} names no database after the host. {mend}")
    return url


def _render(url: URL, driver: str) -> str:
    return url.set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)


def _first_line(error: OperationalError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
