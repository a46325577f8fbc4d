"""The states of a plan on its way: approved, begun, finished, and put back when nothing came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.store.plans import StoredPlan, read_plan


def approve(connection: Connection, plan: StoredPlan, by: str) -> StoredPlan:
    """Let a held plan through, once.

    Raises:
        PlanRefused: the plan is not held.
    """
    approved = connection.execute(
        text(
            "UPDATE sync.plan SET state = 'approved', approved_by = :by, approved_at = now() "
            "WHERE id = :id AND state = 'held'"
        ),
        {"id": plan.id, "by": by},
    ).rowcount
    if not approved and read_plan(connection, plan.id).state != "approved":
        raise PlanRefused(_why_not(read_plan(connection, plan.id)))
    return read_plan(connection, plan.id)


def begin(connection: Connection, plan_id: int) -> StoredPlan:
    """Move an open or approved plan to applying.

    Raises:
        PlanRefused: it is held, was applied, or newer observations took its place.
    """
    begun = connection.execute(
        text("UPDATE sync.plan SET state = 'applying' WHERE id = :id AND state IN ('open', 'approved', 'applying')"),
        {"id": plan_id},
    ).rowcount
    plan = read_plan(connection, plan_id)
    if not begun:
        raise PlanRefused(_why_not(plan))
    return plan


def finish(connection: Connection, plan_id: int, outcome: Mapping[str, Any]) -> None:
    """Close an applied plan with what came of it."""
    connection.execute(
        text(
            "UPDATE sync.plan SET state = 'applied', applied_at = now(), outcome = CAST(:outcome AS jsonb) "
            "WHERE id = :id"
        ),
        {"id": plan_id, "outcome": canonical_json(outcome)},
    )


def reopen(connection: Connection, plan_id: int) -> None:
    """Put a plan back that was stopped before it changed anything: an approval must not be used up by that."""
    connection.execute(
        text("UPDATE sync.plan_change SET state = 'planned' WHERE plan_id = :id AND state IN ('skipped', 'failed')"),
        {"id": plan_id},
    )
    connection.execute(
        text(
            "UPDATE sync.plan SET state = CASE WHEN approved_at IS NULL THEN 'open' ELSE 'approved' END "
            "WHERE id = :id AND state = 'applied'"
        ),
        {"id": plan_id},
    )


def _why_not(plan: StoredPlan) -> str:
    short = plan.hash[:12]
    match plan.state:
        case "held":
            return (
                f"plan {short} is held: {'; '.join(plan.held_reasons)}. Look at it with 'sync-pipelines plan show "
                f"{short}'; to let it through once, launch with approve={short} or run 'sync-pipelines plan approve "
                f"{short}'"
            )
        case "applied" | "applying":
            return f"plan {short} was applied already; an approval lets a plan through once"
        case "superseded":
            return f"plan {short} was superseded by newer observations; look at 'sync-pipelines plan list'"
        case _:
            return f"plan {short} is {plan.state}: it needs no approval"
