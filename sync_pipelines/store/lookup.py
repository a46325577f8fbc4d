"""Which record does a person mean, who types one of its keys? And what identifies it on both sides?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text


def records_called(connection: Connection, scope: Scope, word: str) -> list[str]:
    """Return the keys of all records that have a word as left key, right key or natural key, sorted.

    A record that only the right side has goes by its natural key.
    """
    rows = connection.execute(
        text(
            "SELECT key FROM sync.record_state WHERE scope_id = :scope_id AND key = :word "
            "UNION SELECT left_key FROM sync.base WHERE scope_id = :scope_id AND :word IN (left_key, right_key) "
            "UNION SELECT left_key FROM sync.base WHERE scope_id = :scope_id AND natural_key = :word "
            "UNION SELECT key FROM sync.record WHERE scope_id = :scope_id AND side = 'left' "
            "AND (key = :word OR natural_key = :word) "
            "UNION SELECT natural_key FROM sync.finding WHERE scope_id = :scope_id AND :word IN (key, natural_key)"
        ),
        {"scope_id": scope.id, "word": word},
    )
    return _leading([row.key for row in rows], word)


def natural_keys(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
    """Return what identifies records on both sides, by their keys. A key that nobody knows stands for itself."""
    rows = connection.execute(
        text(
            "SELECT k.key, coalesce(l.natural_key, b.natural_key, k.key) AS natural_key "
            "FROM unnest(CAST(:keys AS text[])) AS k(key) "
            "LEFT JOIN sync.record l ON l.scope_id = :scope_id AND l.side = 'left' AND l.key = k.key "
            "LEFT JOIN sync.base b ON b.scope_id = :scope_id AND b.left_key = k.key"
        ),
        {"scope_id": scope.id, "keys": list(keys)},
    )
    return {row.key: row.natural_key for row in rows}


def _leading(keys: Sequence[str], word: str) -> list[str]:
    """Drop a natural key that only a finding told of when the record itself is known by its own key."""
    others = sorted(key for key in keys if key != word)
    return others or list(keys)


@dataclass(frozen=True, slots=True)
class Remark:
    """A record about which nothing is decided, and why: ``left`` or ``right`` holds it back, or cannot be read."""

    side: str
    key: str
    natural_key: str
    reason: str


def remarks(connection: Connection, scope: Scope) -> list[Remark]:
    """Return the records of both sides that were withheld or invalid when they were last seen, by side and key."""
    rows = connection.execute(
        text(
            "SELECT side, key, natural_key, coalesce(invalid, withheld) AS reason FROM sync.record "
            "WHERE scope_id = :scope_id AND coalesce(invalid, withheld) IS NOT NULL ORDER BY side, key"
        ),
        {"scope_id": scope.id},
    )
    return [Remark(*row) for row in rows]
