"""Details of a peer that cost a request each, kept for a while. Losing them costs time and nothing else.

A document holds facts and digests, never secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class Cached:
    """What was kept under a key.

    Attributes:
        stamp: digest of what the peer listed about it when the details were read.
        document: the details, of JSON types.
        age: seconds since then, by the database's clock.
    """

    stamp: str
    document: Any
    age: float

    def is_fresh(self, stamp: str, longest: float) -> bool:
        """Say whether the details are of what is listed now, and younger than ``longest`` seconds."""
        return self.stamp == stamp and 0 <= self.age < longest


def read(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, Cached]:
    """Return what is kept under these keys, whatever its age."""
    rows = connection.execute(
        text(
            "SELECT key, stamp, document, extract(epoch FROM clock_timestamp() - stored_at) AS age "
            "FROM sync.peer_cache WHERE scope_id = :scope_id AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"scope_id": scope.id, "keys": list(keys)},
    )
    return {row.key: Cached(row.stamp, json.loads(row.document), float(row.age)) for row in rows}


def put(connection: Connection, scope: Scope, rows: Mapping[str, tuple[str, Any]]) -> None:
    """Keep documents, key -> (stamp, document of JSON types), in place of those that are there."""
    # In one order, so that two runs never wait for each other in a circle.
    keys = sorted(rows)
    connection.execute(
        text(
            "INSERT INTO sync.peer_cache (scope_id, key, stamp, document, stored_at) "
            "SELECT :scope_id, g.key, g.stamp, g.document, clock_timestamp() "
            "FROM unnest(CAST(:keys AS text[]), CAST(:stamps AS text[]), CAST(:documents AS text[])) "
            "AS g(key, stamp, document) ON CONFLICT (scope_id, key) DO UPDATE "
            "SET stamp = EXCLUDED.stamp, document = EXCLUDED.document, stored_at = EXCLUDED.stored_at"
        ),
        {
            "scope_id": scope.id,
            "keys": keys,
            "stamps": [rows[key][0] for key in keys],
            # ASCII only: PostgreSQL refuses characters that JSON can carry.
            "documents": [json.dumps(rows[key][1], separators=(",", ":")) for key in keys],
        },
    )


def purge(connection: Connection, scope: Scope, listed: Sequence[str], *, folder: str = "") -> int:
    """Forget everything but these keys: the peer lists nothing else. Returns how many were forgotten.

    Arguments:
        folder: only keys that begin with it, such as ``"/vault/"``; by default only those that begin with no slash.
    """
    return connection.execute(
        text(
            "DELETE FROM sync.peer_cache c WHERE scope_id = :scope_id "
            "AND CASE WHEN :folder = '' THEN NOT starts_with(key, '/') ELSE starts_with(key, :folder) END "
            "AND NOT EXISTS "
            "(SELECT FROM unnest(CAST(:keys AS text[])) AS listed(key) WHERE listed.key = c.key)"
        ),
        {"scope_id": scope.id, "keys": list(listed), "folder": folder},
    ).rowcount


def forget(connection: Connection, scope: Scope, keys: Sequence[str] | None = None) -> int:
    """Let documents be out of date, so that they are read anew. Returns how many were not before.

    They are not removed: what was known of something that cannot be read now is still worth something.

    Arguments:
        keys: ``None`` for all.
    """
    return connection.execute(
        text(
            "UPDATE sync.peer_cache SET stamp = '' WHERE scope_id = :scope_id AND stamp <> '' "
            "AND (CAST(:keys AS text[]) IS NULL OR key = ANY (CAST(:keys AS text[])))"
        ),
        {"scope_id": scope.id, "keys": None if keys is None else list(keys)},
    ).rowcount
