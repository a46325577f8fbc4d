"""``sync_status``: per table how far it is, what it holds over all runs, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.store.statements import statement, text


@dataclass(frozen=True, slots=True)
class TableStatus:
    """A row of ``sync_status``.

    Attributes:
        table_name: the table, e.g. ``"ledger_entries"``.
        last_synced_block_offset: ledger position of the last block taken in, 0 before the first.
        last_synced_at: when that was.
        total_records_synced: records over all runs.
        sync_errors: errors that stand now.
        last_error: the newest of them, for a person.
    """

    table_name: str
    last_synced_block_offset: int
    last_synced_at: datetime | None
    total_records_synced: int
    sync_errors: int
    last_error: str | None


def read(connection: Connection, canister: int) -> list[TableStatus]:
    """Return the status of every table that was ever filled, by name."""
    rows = connection.execute(
        text(
            "SELECT table_name, last_synced_block_offset, last_synced_at, total_records_synced, sync_errors, "
            "last_error FROM sync.sync_status WHERE canister = :canister ORDER BY table_name"
        ),
        {"canister": canister},
    )
    return [TableStatus(*row) for row in rows]


def advance(connection: Connection, canister: int, table: str, offset: int, records: int) -> None:
    """Note that a table has taken in blocks up to one, and clear its error."""
    connection.execute(
        text(
            "INSERT INTO sync.sync_status AS s "
            "(canister, table_name, last_synced_block_offset, last_synced_at, total_records_synced) "
            "VALUES (:canister, :table, :offset, now(), :records) ON CONFLICT (canister, table_name) DO UPDATE "
            "SET last_synced_block_offset = EXCLUDED.last_synced_block_offset, last_synced_at = now(), "
            "total_records_synced = s.total_records_synced + EXCLUDED.total_records_synced, sync_errors = 0, "
            "last_error = NULL"
        ),
        {"canister": canister, "table": table, "offset": offset, "records": records},
    )


def fail(connection: Connection, canister: int, table: str, error: str) -> None:
    """Note what keeps a table from going on. Its position stays; the same error is counted once."""
    connection.execute(
        text(
            "INSERT INTO sync.sync_status AS s (canister, table_name, sync_errors, last_error) "
            "VALUES (:canister, :table, 1, :error) ON CONFLICT (canister, table_name) DO UPDATE "
            "SET sync_errors = 1, last_error = EXCLUDED.last_error"
        ),
        {"canister": canister, "table": table, "error": error},
    )


def recover(connection: Connection, canister: int, table: str) -> None:
    """Clear a table's error unless a block stands that could not be imported."""
    connection.execute(
        text(
            "UPDATE sync.sync_status SET sync_errors = 0, last_error = NULL "
            "WHERE canister = :canister AND table_name = :table AND last_error IS NOT NULL AND NOT EXISTS "
            "(SELECT FROM sync.import_errors e WHERE e.canister = :canister AND e.projection = 'import')"
        ),
        {"canister": canister, "table": table},
    )


def rewind(connection: Connection, canister: int, table: str, offset: int, records: int) -> None:
    """Note that a table holds so many records now, up to a block that is before the one it was at."""
    connection.execute(
        text(
            "UPDATE sync.sync_status SET last_synced_block_offset = :offset, last_synced_at = now(), "
            "total_records_synced = :records, sync_errors = 0, last_error = NULL "
            "WHERE canister = :canister AND table_name = :table"
        ),
        {"canister": canister, "table": table, "offset": offset, "records": records},
    )


def derived(connection: Connection, canister: int, table: str, projection: str, records: int) -> None:
    """Set what holds for a derived table: its records, up to which block, and the errors that stand now."""
    connection.execute(
        text(statement("ledger_status_derived")),
        {"canister": canister, "table": table, "projection": projection, "records": records},
    )
