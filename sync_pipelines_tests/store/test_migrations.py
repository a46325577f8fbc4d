"""Migrations: each once, in order, whole or not at all, and never behind an edited file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.migrations import migrate, pending, read_migrations
from sync_pipelines.store.statements import statement


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE sync.one (a int);\nINSERT INTO sync.one VALUES (7 % 4);\n")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE sync.two (b text DEFAULT ':not_a_parameter');\n")
    return tmp_path


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = connect_engine(empty_database_url)
    yield engine
    engine.dispose()


def _tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'sync'")).scalars())


def test_files_are_applied_in_order_and_once(empty: Engine, folder: Path) -> None:
    assert pending(empty, folder) == ["0001_first", "0002_second"]
    assert _tables(empty) == set()
    assert migrate(empty, folder) == ["0001_first", "0002_second"]
    assert _tables(empty) == {"migration", "one", "two"}
    assert migrate(empty, folder) == []
    assert pending(empty, folder) == []


def test_given_a_database_that_is_up_to_date_then_it_is_only_read(
    empty: Engine, empty_database_url: str, folder: Path
) -> None:
    migrate(empty, folder)
    url = make_url(empty_database_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    reader = connect_engine(url.render_as_string(hide_password=False))
    try:
        assert migrate(reader, folder) == []
    finally:
        reader.dispose()


def test_a_later_file_is_applied_alone(empty: Engine, folder: Path) -> None:
    migrate(empty, folder)
    (folder / "0003_third.sql").write_text("CREATE TABLE sync.three ();")
    assert migrate(empty, folder) == ["0003_third"]


def test_a_failing_file_leaves_nothing_of_itself_and_can_be_mended(empty: Engine, folder: Path) -> None:
    broken = folder / "0003_third.sql"
    broken.write_text("CREATE TABLE sync.three (); CREATE TABLE sync.one ();")
    with pytest.raises(ConfigurationError, match=r"0003_third\.sql failed, and nothing of it .* already exists"):
        migrate(empty, folder)
    assert _tables(empty) == {"migration", "one", "two"}

    broken.write_text("CREATE TABLE sync.three ();")
    assert migrate(empty, folder) == ["0003_third"]


def test_several_that_start_at_once_apply_each_file_once(empty_database_url: str, folder: Path) -> None:
    def run(_: int) -> list[str]:
        engine = connect_engine(empty_database_url)
        try:
            return migrate(engine, folder)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(run, range(4)))
    assert sorted(name for names in applied for name in names) == ["0001_first", "0002_second"]


def _edit(folder: Path) -> None:
    (folder / "0001_first.sql").write_text("CREATE TABLE sync.other ();")


def _remove(folder: Path) -> None:
    (folder / "0002_second.sql").unlink()


def _rename(folder: Path) -> None:
    (folder / "0002_second.sql").rename(folder / "0002_other.sql")


def _duplicate(folder: Path) -> None:
    (folder / "0002_other.sql").write_text("")


def _leave_a_gap(folder: Path) -> None:
    (folder / "0004_fourth.sql").write_text("")


def _misname(folder: Path) -> None:
    (folder / "three.sql").write_text("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_edit, r"0001_first\.sql was edited after .* Restore its text"),
        (_remove, r"has the migration 0002_second, but 0002_second\.sql is missing\. Restore"),
        (_rename, r"has the migration 0002_second, but 0002_second\.sql is missing\. Restore"),
        (_duplicate, r"0002_other\.sql and 0002_second\.sql have the same number\. Renumber"),
        (_leave_a_gap, r"number 0003 is missing before 0004_fourth\.sql"),
        (_misname, r"three\.sql is not named like a migration\. Rename"),
    ],
)
def test_files_that_do_not_match_the_database_are_refused(
    empty: Engine, folder: Path, change: Callable[[Path], None], said: str
) -> None:
    migrate(empty, folder)
    before = _tables(empty)
    change(folder)
    for attempt in (migrate, pending):
        with pytest.raises(ConfigurationError, match=said):
            attempt(empty, folder)
    assert _tables(empty) == before


def test_other_line_ends_are_not_an_edit(empty: Engine, folder: Path) -> None:
    migrate(empty, folder)
    path = folder / "0001_first.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(empty, folder) == []


def test_the_projects_own_migrations_are_in_the_tests_database(engine: Engine) -> None:
    assert pending(engine) == []
    assert len(read_migrations()) >= 1


def test_a_missing_statement_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no SQL statement nonesuch: .*nonesuch\.sql is missing"):
        statement("nonesuch")
