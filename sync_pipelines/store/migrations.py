"""Brings the database to the shape that the code expects: ``sql/NNNN_name.sql``, in order, each once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.database import check_server
from sync_pipelines.store.statements import sql_folder

# Any fixed number will do; it has to differ from the keys of other advisory locks on the server.
_LOCK = 7_296_313_001
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS sync;
CREATE TABLE IF NOT EXISTS sync.migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True)
class Migration:
    """One numbered file.

    Attributes:
        number: its place in the order, from 1 without gaps.
        name: file name without ``.sql``, e.g. ``0001_store``.
        sql: its text.
        checksum: hex digest of the text, the same for either kind of line end.
    """

    number: int
    name: str
    sql: str
    checksum: str


def migrate(engine: Engine, folder: Path | None = None) -> list[str]:
    """Apply what has not been applied yet; each file in a transaction of its own.

    Safe when several processes call it at once: one works, the others wait and then find nothing to do.

    Arguments:
        engine: the store's database.
        folder: where the files are; the project's by default.

    Returns the names of the files applied now.

    Raises:
        ConfigurationError: the server does not do, files do not match what was applied before, or a file fails (then
            the files before it stay applied, and of itself nothing is).
    """
    migrations = read_migrations(folder)
    check_server(engine)
    with engine.connect() as connection:
        # Nearly always: every run, sensor and command begins with this, and need not wait for another's lock.
        if not _not_applied(migrations, _applied(connection)):
            return []
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        try:
            connection.execute(text(_BOOTSTRAP))
            connection.commit()
            due = _not_applied(migrations, _applied(connection))
            for migration in due:
                _apply(connection, migration)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    return [migration.name for migration in due]


def pending(engine: Engine, folder: Path | None = None) -> list[str]:
    """Names of the files that :func:`migrate` would apply. Changes nothing.

    Raises:
        ConfigurationError: as :func:`migrate`.
    """
    migrations = read_migrations(folder)
    check_server(engine)
    with engine.connect() as connection:
        return [migration.name for migration in _not_applied(migrations, _applied(connection))]


def read_migrations(folder: Path | None = None) -> list[Migration]:
    """The migration files in order.

    Raises:
        ConfigurationError: a file is misnamed, or the numbers are not 1, 2, 3, ...
    """
    folder = folder or sql_folder()
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.name)
        if named is None:
            raise ConfigurationError(f"{path} is not named like a migration. Rename it to NNNN_name.sql.")
        content = path.read_text(encoding="utf-8")
        checksum = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        migrations.append(Migration(int(named.group(1)), path.stem, content, checksum))
    for expected, migration in enumerate(migrations, start=1):
        if migration.number < expected:
            earlier = migrations[expected - 2].name
            raise ConfigurationError(
                f"{folder}: {earlier}.sql and {migration.name}.sql have the same number. Renumber the newer one."
            )
        if migration.number > expected:
            raise ConfigurationError(
                f"{folder}: number {expected:04d} is missing before {migration.name}.sql. Restore or renumber."
            )
    return migrations


def _applied(connection: Connection) -> dict[int, tuple[str, str]]:
    if connection.execute(text("SELECT to_regclass('sync.migration')")).scalar_one() is None:
        return {}
    rows = connection.execute(text("SELECT number, name, checksum FROM sync.migration ORDER BY number"))
    return {number: (name, checksum) for number, name, checksum in rows}


def _not_applied(migrations: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    """The rest, after making sure that what was applied is what the files say."""
    by_number = {migration.number: migration for migration in migrations}
    for number, (name, checksum) in applied.items():
        migration = by_number.get(number)
        if migration is None or migration.name != name:
            raise ConfigurationError(
                f"The database has the migration {name}, but {name}.sql is missing. "
                "Restore the file, or run the release that made this database."
            )
        if migration.checksum != checksum:
            raise ConfigurationError(
                f"{name}.sql was edited after it had been applied to this database. "
                "Restore its text and put the change into a new migration."
            )
    return [migration for migration in migrations if migration.number not in applied]


def _apply(connection: Connection, migration: Migration) -> None:
    try:
        # Without parameters the driver sends the file as it is: several statements, and "%" stays "%".
        connection.execution_options(no_parameters=True).exec_driver_sql(migration.sql)
        connection.execute(
            text("INSERT INTO sync.migration (number, name, checksum) VALUES (:number, :name, :checksum)"),
            {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
        )
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        raise ConfigurationError(
            f"{migration.name}.sql failed, and nothing of it was applied: {str(error.orig).strip()}"
        ) from error
