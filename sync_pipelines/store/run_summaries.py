"""How the last reconciles of a scope went: for averages, and for people who ask how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.lifecycle import State
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text

KEPT = 100
"""Summaries of each scope: averages are taken over these."""

Outcome = Literal["successful", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One reconcile.

    Attributes:
        ended_at: aware.
        seconds: from the opening of both peers to their closing.
        outcome: ``stopped`` is one that somebody ended: neither a success nor a failure.
        reason: why it failed.
        numbers: what it counted.
    """

    ended_at: datetime
    seconds: float
    outcome: Outcome
    reason: str | None
    numbers: Mapping[str, float]


def add(
    connection: Connection,
    scope: Scope,
    *,
    seconds: float,
    outcome: Outcome,
    reason: str | None,
    numbers: Mapping[str, float],
) -> None:
    """Keep a summary, and the last :data:`KEPT` of the scope."""
    connection.execute(
        text(
            "INSERT INTO sync.run_summary (scope_id, seconds, outcome, reason, numbers) "
            "VALUES (:scope_id, :seconds, :outcome, :reason, CAST(:numbers AS jsonb))"
        ),
        {
            "scope_id": scope.id,
            "seconds": seconds,
            "outcome": outcome,
            "reason": reason,
            "numbers": canonical_json(numbers),
        },
    )
    connection.execute(
        text(
            "DELETE FROM sync.run_summary WHERE scope_id = :scope_id AND id <= "
            "(SELECT id FROM sync.run_summary WHERE scope_id = :scope_id ORDER BY id DESC OFFSET :kept LIMIT 1)"
        ),
        {"scope_id": scope.id, "kept": KEPT},
    )


def latest(connection: Connection, scope: Scope, limit: int = KEPT) -> list[RunSummary]:
    """Return the last summaries of a scope, newest first."""
    rows = connection.execute(
        text(
            "SELECT ended_at, seconds, outcome, reason, numbers FROM sync.run_summary "
            "WHERE scope_id = :scope_id ORDER BY id DESC LIMIT :limit"
        ),
        {"scope_id": scope.id, "limit": limit},
    )
    return [RunSummary(*row) for row in rows]


def failed_changes(connection: Connection, scope: Scope, seconds: float) -> int:
    """Return how many changes failed of the plans that were applied in the last seconds."""
    found: int = connection.execute(
        text(
            "SELECT coalesce(sum(CAST(outcome -> 'outcomes' ->> 'failed' AS integer)), 0) FROM sync.plan "
            "WHERE scope_id = :scope_id AND applied_at >= now() - make_interval(secs => :seconds)"
        ),
        {"scope_id": scope.id, "seconds": seconds},
    ).scalar_one()
    return found


def synced_among(connection: Connection, scope: Scope, keys: Sequence[str]) -> int:
    """Return how many of these records are in agreement."""
    found: int = connection.execute(
        text(
            "SELECT count(*) FROM sync.record_state WHERE scope_id = :scope_id AND state = :synced "
            "AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"scope_id": scope.id, "synced": State.SYNCED.value, "keys": list(keys)},
    ).scalar_one()
    return found
