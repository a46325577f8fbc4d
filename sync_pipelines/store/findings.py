"""Findings: orphans and conflicts that stand right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from sync_pipelines.store.scopes import Scope

ORPHAN = "orphan"
"""On the right, tracked by nobody, absent from a sealed left snapshot."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something only a person can settle.

    Attributes:
        kind: ``orphan``, or the kind of conflict: ``duplicate``, ``misplaced``, ``unreadable``.
        key: right key (for a duplicate: the natural key).
        detail: what was found, for people.
        left_key: the source's record that cannot go on because of it, if there is one.
    """

    kind: str
    key: str
    natural_key: str
    detail: str
    left_key: str | None = None


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """A finding with its scope and how long it has stood."""

    scope: str
    kind: str
    key: str
    natural_key: str
    detail: str
    first_seen: datetime
    last_seen: datetime


def replace_findings(
    connection: Connection,
    scope: Scope,
    found: Sequence[Finding],
    *,
    keys: Sequence[str] | None = None,
    orphans: bool = True,
) -> int:
    """Make the findings of a comparison the standing ones; those no longer found go. Returns how many are new.

    With ``keys`` (natural keys of a selective comparison) only findings of these are replaced. Without ``orphans`` the
    comparison could not tell what is an orphan: those that stand are left standing.
    """
    rows = [
        {"scope_id": scope.id, "kind": f.kind, "key": f.key, "natural_key": f.natural_key, "detail": f.detail}
        for f in found
    ]
    before = _count(connection, scope)
    connection.execute(
        text(
            "DELETE FROM sync.finding WHERE scope_id = :scope_id "
            "AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))) "
            "AND (:orphans OR kind <> 'orphan') "
            "AND NOT (kind || ' ' || key) = ANY (CAST(:found AS text[]))"
        ),
        {
            "scope_id": scope.id,
            "keys": None if keys is None else list(keys),
            "orphans": orphans,
            "found": [f"{f.kind} {f.key}" for f in found],
        },
    )
    kept = _count(connection, scope)
    if rows:
        connection.execute(
            text(
                "INSERT INTO sync.finding (scope_id, kind, key, natural_key, detail) "
                "VALUES (:scope_id, :kind, :key, :natural_key, :detail) ON CONFLICT (scope_id, kind, key) DO UPDATE "
                "SET natural_key = EXCLUDED.natural_key, detail = EXCLUDED.detail, last_seen = now()"
            ),
            rows,
        )
    return _count(connection, scope) - min(before, kept)


def standing(connection: Connection, pair: str, *, scope: str | None = None) -> list[StandingFinding]:
    """Return the findings that stand, oldest first."""
    rows = connection.execute(
        text(
            "SELECT s.name AS scope, f.kind, f.key, f.natural_key, f.detail, f.first_seen, f.last_seen "
            "FROM sync.finding f JOIN sync.scope s ON s.id = f.scope_id WHERE s.pair = :pair "
            "AND (CAST(:scope AS text) IS NULL OR s.name = :scope) ORDER BY f.first_seen, f.kind, f.key"
        ),
        {"pair": pair, "scope": scope},
    )
    return [StandingFinding(**row._mapping) for row in rows]


def _count(connection: Connection, scope: Scope) -> int:
    return int(
        connection.execute(
            text("SELECT count(*) FROM sync.finding WHERE scope_id = :scope_id"), {"scope_id": scope.id}
        ).scalar_one()
    )
