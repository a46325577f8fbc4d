"""Single records seen at a peer between two snapshots: what was read before a write, and what after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.records import Record
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.snapshots import Side
from sync_pipelines.store.statements import Part, execute, text
from sync_pipelines.store.storable import stored

Keys = list[str]


def putting(scope: Scope, side: Side, records: Sequence[Record], snapshot_id: int) -> Part:
    """Store fresh observations; those that show nothing new cost no write."""
    columns = zip(*(_row(record) for record in records), strict=True)
    names = ("keys", "natural_keys", "fingerprints", "details", "contents", "metas", "withheld", "invalid")
    return Part(
        (
            "INSERT INTO sync.record AS old (scope_id, side, key, natural_key, fingerprint, detail, content, meta, "
            "withheld, invalid, snapshot_id) SELECT :scope_id, :side, g.key, g.natural_key, g.fingerprint, g.detail, "
            "CAST(g.content AS jsonb), CAST(g.meta AS jsonb), g.withheld, g.invalid, :snapshot_id "
            "FROM unnest(CAST(:keys AS text[]), CAST(:natural_keys AS text[]), CAST(:fingerprints AS bytea[]), "
            "CAST(:details AS bytea[]), CAST(:contents AS text[]), CAST(:metas AS text[]), CAST(:withheld AS text[]), "
            "CAST(:invalid AS text[])) "
            "AS g(key, natural_key, fingerprint, detail, content, meta, withheld, invalid) "
            "ON CONFLICT (scope_id, side, key) DO UPDATE SET natural_key = EXCLUDED.natural_key, "
            "fingerprint = EXCLUDED.fingerprint, detail = EXCLUDED.detail, content = EXCLUDED.content, "
            "meta = EXCLUDED.meta, withheld = EXCLUDED.withheld, invalid = EXCLUDED.invalid, changed_at = now() "
            "WHERE (old.fingerprint, old.detail) IS DISTINCT FROM (EXCLUDED.fingerprint, EXCLUDED.detail)"
        ),
        {
            "scope_id": scope.id,
            "side": side,
            "snapshot_id": snapshot_id,
            **dict(zip(names, map(list, columns), strict=True)),
        },
    )


def put_records(connection: Connection, scope: Scope, side: Side, records: Sequence[Record], snapshot_id: int) -> None:
    """Store fresh observations, as :func:`putting`."""
    if records:
        execute(connection, putting(scope, side, records, snapshot_id))


def drop_records(connection: Connection, scope: Scope, side: Side, keys: Sequence[str]) -> None:
    """Forget observations: the peer says that the records are gone."""
    if keys:
        connection.execute(
            text(
                "DELETE FROM sync.record WHERE scope_id = :scope_id AND side = :side "
                "AND key = ANY (CAST(:keys AS text[]))"
            ),
            {"scope_id": scope.id, "side": side, "keys": list(keys)},
        )


def holding(connection: Connection, scope: Scope, side: Side, part: Mapping[str, Any], limit: int) -> tuple[int, Keys]:
    """Return how many records of a side have these fields with these values, and the keys of the first of them.

    Reads every record of the side.
    """
    rows = connection.execute(
        text(
            "SELECT key, count(*) OVER () AS n FROM sync.record WHERE scope_id = :scope_id AND side = :side "
            "AND content @> CAST(:part AS jsonb) ORDER BY key LIMIT :limit"
        ),
        {"scope_id": scope.id, "side": side, "part": canonical_json(part), "limit": limit},
    ).all()
    return (int(rows[0].n) if rows else 0), [row.key for row in rows]


def _row(record: Record) -> tuple[str, str, bytes, bytes, str, str, str | None, str | None]:
    key, natural_key, fingerprint, detail, content, meta, withheld, invalid = stored(record)
    return (
        key.decode(),
        natural_key.decode(),
        fingerprint,
        detail,
        content.decode(),
        meta.decode(),
        None if withheld is None else withheld.decode(),
        None if invalid is None else invalid.decode(),
    )
