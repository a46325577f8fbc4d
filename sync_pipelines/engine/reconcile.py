"""Reconcile: extract, compare and apply in one go, for everybody who does not need them as separate steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from sync_pipelines.core.errors import PlanRefused, SnapshotUnsealed
from sync_pipelines.engine import ledger
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import Run, working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.store import leases, plan_states, plans, snapshots
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Result of one reconcile. ``applied`` is None when nothing was to be applied (plan mode, or held)."""

    plan: StoredPlan
    applied: Applied | None
    seconds: float


async def reconcile(
    engine: Engine,
    pair: Pair,
    *,
    run_id: str,
    log: logging.Logger,
    keys: Sequence[str] | None = None,
    plan_only: bool = False,
    force: bool = False,
    patience: float = 0.0,
) -> Reconciled:
    """Bring one scope into agreement.

    Arguments:
        keys: natural keys of a selective reconcile, ``None`` for the whole scope.
        plan_only: write the plan and change nothing.
        force: compare field by field, whatever was agreed.
        patience: seconds to wait for another run of the scope to end.

    Raises:
        LeaseHeld: another run works on the scope.
        PeerError: a side could not be read, or credentials are refused.
        SnapshotUnsealed: a side was read incompletely, so nothing was applied.
    """
    started = time.monotonic()
    async with working_on(engine, pair, run_id, log, patience=patience) as run:
        left, right = await together(extract(run, "left", keys), extract(run, "right", keys))
        plan = await in_thread(compare, run, keys, force=force)
        if not plan_only:
            refuse_incomplete(pair, (left, right))
        applied = None if plan_only or plan.state == "held" else await apply(run, plan)
    return Reconciled(plan, applied, time.monotonic() - started)


def refuse_incomplete(pair: Pair, sides: Sequence[Snapshot]) -> None:
    """Refuse to go on to the applier unless both sides were read completely.

    Raises:
        SnapshotUnsealed: with what is missing.
    """
    if not all(side.complete for side in sides):
        reasons = "; ".join(reason for side in sides for reason in side.unsealed)
        raise SnapshotUnsealed(
            f"{pair.full_name}: nothing was applied, because a side was read incompletely: {reasons}"
        )


def approve(run: Run, plan_hash: str, by: str) -> StoredPlan:
    """Approve a held plan of the run's scope and accept the snapshots it rests on.

    Raises:
        PlanRefused: there is no such plan in this scope, or it is not held.
    """
    with run.engine.begin() as connection:
        leases.fence(connection, run.lease)
        plan = plans.find_plan(connection, plan_hash)
        if (plan.pair, plan.scope) != (run.pair.name, run.pair.scope):
            raise PlanRefused(
                f"plan {plan.hash[:12]} belongs to {plan.pair}/{plan.scope}, not to {run.pair.full_name}: "
                "launch it there"
            )
        approved = plan_states.approve(connection, plan, by)
        snapshots.seal_snapshots(connection, [plan.left_snapshot, plan.right_snapshot])
        ledger.event(connection, run, "approve", success=True, plan=plan.hash, approved_by=by)
    run.log.warning("%s: plan %s was approved by %s", run.pair.full_name, plan.hash[:12], by)
    return approved
