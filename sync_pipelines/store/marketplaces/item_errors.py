"""What is wrong with single records: listed for each connection until they arrive without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.core.canonical import digest
from sync_pipelines.core.marketplaces import ItemError, ProblemKind, Stream
from sync_pipelines.store.marketplaces.rows import json_text
from sync_pipelines.store.marketplaces.tables import RecordTable
from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class ListedError:
    """An open item error as it is listed."""

    connection: str
    stream: Stream
    key: str
    part: str
    kind: ProblemKind
    message: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Staged:
    """The records in the temporary table beside a table."""

    table: RecordTable


def note(
    connection: Connection,
    connection_id: int,
    stream: Stream,
    records: Staged | Sequence[str],
    errors: Sequence[ItemError],
) -> None:
    """List the errors of records, and resolve those that they do not have any more.

    Arguments:
        records: keys of all that were stored, with errors and without.
    """
    rows = {(error.key, _part(error), error.kind.value): error for error in errors}
    parameters: dict[str, object] = {
        "connection_id": connection_id,
        "stream": stream.value,
        "keys": [_short(key) for key, _, _ in rows],
        "parts": [_short(part) for _, part, _ in rows],
        "kinds": [kind for _, _, kind in rows],
    }
    if isinstance(records, Staged):
        stored = f"SELECT {records.table.keys[0]} FROM {records.table.stage}"
    else:
        stored = "SELECT unnest(CAST(:records AS text[]))"
        parameters["records"] = list(records)
    connection.execute(text(_RESOLVE.format(stored=stored)), parameters)
    if rows:
        parameters["messages"] = [storable_text(error.message) for error in rows.values()]
        parameters["payloads"] = [_payload(error) for error in rows.values()]
        connection.execute(text(_LIST), parameters)


def resolve_deleted(connection: Connection, connection_id: int, stream: Stream, keys: Sequence[str]) -> None:
    """Resolve the errors of records that are deleted."""
    connection.execute(
        text(
            "UPDATE sync.marketplace_item_error SET resolved_at = now() WHERE connection_id = :connection_id "
            "AND stream = :stream AND resolved_at IS NULL AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"connection_id": connection_id, "stream": stream.value, "keys": list(keys)},
    )


def open_errors(connection: Connection, name: str | None = None, limit: int = 1000) -> list[ListedError]:
    """Return the errors that are not resolved, of one connection or of all, the newest first."""
    rows = connection.execute(
        text(
            "SELECT c.name, e.stream, e.key, e.part, e.kind, e.message, e.first_seen_at "
            "FROM sync.marketplace_item_error e JOIN sync.marketplace_connection c ON c.id = e.connection_id "
            "WHERE e.resolved_at IS NULL AND (CAST(:name AS text) IS NULL OR c.name = :name) "
            "ORDER BY e.first_seen_at DESC, c.name, e.stream, e.key, e.part, e.kind LIMIT :limit"
        ),
        {"name": name, "limit": limit},
    )
    return [
        ListedError(row.name, Stream(row.stream), row.key, row.part, ProblemKind(row.kind), row.message, row[-1])
        for row in rows
    ]


def _part(error: ItemError) -> str:
    # Several records whose key cannot be read are still several errors.
    if error.key or error.part or error.payload is None:
        return error.part
    return digest(str(_payload(error)).encode()).hex()


def _short(value: str) -> str:
    value = storable_text(value)
    if len(value) <= _LONGEST:
        return value
    return f"{value[: _LONGEST // 2]}... {digest(value.encode()).hex()}"


def _payload(error: ItemError) -> str | None:
    if error.payload is None:
        return None
    try:
        return json_text(error.payload)
    except (ValueError, TypeError):
        # What made it unstorable may be a number that JSON does not have either.
        return json_text(repr(error.payload))


_RESOLVE = (
    "UPDATE sync.marketplace_item_error e SET resolved_at = now() WHERE e.connection_id = :connection_id "
    "AND e.stream = :stream AND e.resolved_at IS NULL AND e.key IN ({stored}) "
    "AND NOT EXISTS (SELECT FROM unnest(CAST(:keys AS text[]), CAST(:parts AS text[]), CAST(:kinds AS text[])) "
    "AS given(key, part, kind) WHERE given.key = e.key AND given.part = e.part AND given.kind = e.kind)"
)
_LIST = (
    "INSERT INTO sync.marketplace_item_error AS e (connection_id, stream, key, part, kind, message, payload) "
    "SELECT :connection_id, :stream, given.key, given.part, given.kind, given.message, CAST(given.payload AS jsonb) "
    "FROM unnest(CAST(:keys AS text[]), CAST(:parts AS text[]), CAST(:kinds AS text[]), CAST(:messages AS text[]), "
    "CAST(:payloads AS text[])) AS given(key, part, kind, message, payload) "
    "ON CONFLICT (connection_id, stream, key, part, kind) DO UPDATE SET message = EXCLUDED.message, "
    "payload = EXCLUDED.payload, resolved_at = NULL, "
    "first_seen_at = CASE WHEN e.resolved_at IS NULL THEN e.first_seen_at ELSE now() END "
    "WHERE e.resolved_at IS NOT NULL OR (e.message, e.payload) IS DISTINCT FROM (EXCLUDED.message, EXCLUDED.payload)"
)
