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


def note_findings(connection: Connection, scope: Scope, found: Sequence[Finding]) -> None:
    """Let findings of a comparison stand; those that stood keep the time they were first seen."""
    if found:
        connection.execute(
            text(
                "INSERT INTO sync.finding (scope_id, kind, key, natural_key, detail) "
                "VALUES (:scope_id, :kind, :key, :natural_key, :detail) ON CONFLICT (scope_id, kind, key) DO UPDATE "
                "SET natural_key = EXCLUDED.natural_key, detail = EXCLUDED.detail, last_seen = now()"
            ),
            [
                {"scope_id": scope.id, "kind": f.kind, "key": f.key, "natural_key": f.natural_key, "detail": f.detail}
                for f in found
            ],
        )


def drop_findings(
    connection: Connection, scope: Scope, *, keys: Sequence[str] | None = None, orphans: bool = True
) -> int:
    """Drop the findings that the present transaction did not note: they no longer stand. Returns how many.

    With ``keys`` (natural keys of a selective comparison) only findings of these are dropped. Without ``orphans`` the
    comparison could not tell what is an orphan: those that stand are left standing.
    """
    return connection.execute(
        text(
            # now() is when the transaction began: no other one has written this very time.
            "DELETE FROM sync.finding WHERE scope_id = :scope_id AND last_seen <> now() "
            "AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))) "
            "AND (:orphans OR kind <> 'orphan')"
        ),
        {"scope_id": scope.id, "keys": None if keys is None else list(keys), "orphans": orphans},
    ).rowcount


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
