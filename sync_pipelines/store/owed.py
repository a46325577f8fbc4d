"""Owed reconciles: scopes that were to be looked at by a run that may have died before it did."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from sync_pipelines.store.scopes import Scope


@dataclass(frozen=True, slots=True)
class Owed:
    """A scope that still has to be reconciled, and why."""

    scope: str
    reason: str


def owe(connection: Connection, scope: Scope, reason: str, run_id: str) -> None:
    """Note, in the transaction that makes it necessary, that a scope has to be reconciled."""
    connection.execute(
        text(
            "INSERT INTO sync.owed_reconcile (scope_id, reason, run_id) VALUES (:scope_id, :reason, :run_id) "
            "ON CONFLICT (scope_id) DO UPDATE SET reason = EXCLUDED.reason, run_id = EXCLUDED.run_id, since = now()"
        ),
        {"scope_id": scope.id, "reason": reason, "run_id": run_id},
    )


def pay(connection: Connection, scope: Scope, run_id: str) -> None:
    """Note that a run has made the reconcile that it owed; what another run owes since then stays."""
    connection.execute(
        text("DELETE FROM sync.owed_reconcile WHERE scope_id = :scope_id AND run_id = :run_id"),
        {"scope_id": scope.id, "run_id": run_id},
    )


def standing(connection: Connection, pair: str) -> list[Owed]:
    """Return the scopes of a pair that are owed a reconcile and had no full one since."""
    rows = connection.execute(
        text(
            "SELECT s.name AS scope, o.reason FROM sync.owed_reconcile o JOIN sync.scope s ON s.id = o.scope_id "
            "WHERE s.pair = :pair AND NOT EXISTS (SELECT FROM sync.plan p "
            "JOIN sync.snapshot l ON l.id = p.left_snapshot WHERE p.scope_id = s.id AND p.state = 'applied' "
            "AND p.keys IS NULL AND p.outcome->>'stopped' IS NULL AND l.started_at > o.since) ORDER BY s.name"
        ),
        {"pair": pair},
    )
    return [Owed(**row._mapping) for row in rows]
