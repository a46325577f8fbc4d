"""Complete readings of all keys, by which deletions show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from sync_pipelines.core.marketplace_port import Scan
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.store.marketplaces import item_errors
from sync_pipelines.store.marketplaces.tables import ORDERS, PRODUCTS, RecordTable
from sync_pipelines.store.statements import text

_STREAMS = {ORDERS.record: Stream.ORDERS, PRODUCTS.record: Stream.PRODUCTS}


def take(
    connection: Connection, connection_id: int, stream: Stream, table: RecordTable, scan: Scan
) -> tuple[int, str | None]:
    """Keep the keys of a part of a scan; at its end mark as deleted what it did not see.

    Returns how many rows were marked, and why the scan is not to be trusted, if so: then nothing is.
    """
    identity = {"connection_id": connection_id, "stream": stream.value, "scan": scan.id}
    connection.execute(
        text(
            "DELETE FROM sync.marketplace_scan_key "
            "WHERE connection_id = :connection_id AND stream = :stream AND scan <> :scan"
        ),
        identity,
    )
    connection.execute(
        text(
            "INSERT INTO sync.marketplace_scan_key (connection_id, stream, scan, key) "
            "SELECT :connection_id, :stream, :scan, given.key FROM unnest(CAST(:keys AS text[])) AS given(key) "
            "ON CONFLICT DO NOTHING"
        ),
        identity | {"keys": list(scan.keys)},
    )
    if not scan.ends:
        return 0, None
    reason = _distrust(connection, table, scan, identity)
    unseen = [] if reason else _unseen_keys(connection, table, scan, identity)
    deleted = mark_deleted(connection, connection_id, table, unseen) if unseen else 0
    connection.execute(
        text("DELETE FROM sync.marketplace_scan_key WHERE connection_id = :connection_id AND stream = :stream"),
        identity,
    )
    return deleted, reason


def _distrust(connection: Connection, table: RecordTable, scan: Scan, identity: Mapping[str, object]) -> str | None:
    seen: int = connection.execute(
        text(
            "SELECT count(*) FROM sync.marketplace_scan_key "
            "WHERE connection_id = :connection_id AND stream = :stream AND scan = :scan"
        ),
        identity,
    ).scalar_one()
    what = f"the complete reading of {identity['stream']}"
    if scan.total is not None and scan.total != seen:
        return f"{what} saw {seen} keys and the marketplace counts {scan.total}: nothing is marked deleted"
    if not seen and connection.execute(text(f"SELECT EXISTS ({_unseen(table)})"), _window(scan, identity)).scalar():
        return f"{what} saw nothing at all, although there are records: nothing is marked deleted"
    return None


def _unseen(table: RecordTable) -> str:
    key = table.keys[0]
    window = " AND (CAST(:first AS timestamptz) IS NULL OR t.ordered_at >= :first)" if table is ORDERS else ""
    return (
        f"SELECT t.{key} FROM {table.name} t WHERE t.connection_id = :connection_id AND t.deleted_at IS NULL{window} "
        f"AND (SELECT k.key FROM sync.marketplace_scan_key k WHERE k.connection_id = :connection_id "
        f"AND k.stream = :stream AND k.scan = :scan AND k.key = t.{key}) IS NULL"
    )


def _window(scan: Scan, identity: Mapping[str, object]) -> Mapping[str, object]:
    return {**identity, "first": scan.ordered_from}


def _unseen_keys(connection: Connection, table: RecordTable, scan: Scan, identity: Mapping[str, object]) -> list[str]:
    rows = connection.execute(text(_unseen(table)), _window(scan, identity))
    return sorted({row[0] for row in rows})


def mark_deleted(connection: Connection, connection_id: int, table: RecordTable, keys: Sequence[str]) -> int:
    """Mark records as deleted and note it in the history. Returns how many rows were not deleted before."""
    marked = connection.execute(
        text(
            f"WITH gone AS (UPDATE {table.name} t SET deleted_at = now(), changed_at = now() "
            f"WHERE t.connection_id = :connection_id AND t.{table.keys[0]} = ANY (CAST(:keys AS text[])) "
            f"AND t.deleted_at IS NULL RETURNING t.*) {table.note('deleted', 'gone t')}"
        ),
        {"connection_id": connection_id, "keys": list(keys)},
    ).rowcount
    item_errors.resolve_deleted(connection, connection_id, _STREAMS[table.record], keys)
    return marked
