"""Compare: turn two snapshots and the base into a stored plan, and let the guard judge it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from sqlalchemy import Connection, text

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.errors import FailureKind, SnapshotUnsealed
from sync_pipelines.core.guard import GuardFacts, judge
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change, PlanCounts, PlanHash
from sync_pipelines.engine import ledger
from sync_pipelines.engine.asking import Asking
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.decide import Agreed, Decision, Found, LeftAlone, Planned, Sight, Undecided, decide
from sync_pipelines.engine.recovery import close_rest, settle_found
from sync_pipelines.engine.settle import recover
from sync_pipelines.store import base, findings, leases, metrics, plans, renames, snapshots, states, unequal, unlinked
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.findings import ORPHAN, Finding
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import Snapshot
from sync_pipelines.store.statements import statement

SIDES: tuple[snapshots.Side, snapshots.Side] = ("left", "right")
BATCH = 1000
"""Decisions held in memory at a time."""


@dataclass
class _Outcome:
    """What came out of a comparison as a whole.

    Attributes:
        undecided: keys that are not in the plan, although the sides do not agree or cannot be told to.
        drifted: records found to be out of agreement that were in it.
    """

    counts: PlanCounts = field(default_factory=PlanCounts)
    undecided: list[str] = field(default_factory=list)
    drifted: int = 0


@dataclass
class _Batch:
    """What came out of some decisions beside the changes themselves.

    Attributes:
        untracked: records (natural key, reason) without a link that are to be retired.
        left: records (natural key, reason) without a link that are not to be retired any more.
    """

    findings: list[Finding] = field(default_factory=list)
    drifted: list[tuple[str, str]] = field(default_factory=list)
    left_alone: list[LeftAlone] = field(default_factory=list)
    agreed: list[Agreed] = field(default_factory=list)
    at_rest: list[str] = field(default_factory=list)
    explained: list[tuple[str, str]] = field(default_factory=list)
    untracked: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def compare(run: Run, keys: Sequence[str] | None = None, *, force: bool = False) -> StoredPlan:
    """Plan the smallest set of changes for the newest snapshots of the scope.

    Everything happens in one transaction: the plan, its verdict, the life cycle of the records, and the findings.
    Changes that need a person are kept in a held plan of their own; the next comparison takes them over once that is
    approved, if nobody did them yet.

    Arguments:
        keys: natural keys of a selective plan, ``None`` for the whole scope.
        force: compare field by field, whatever was agreed.

    Raises:
        SnapshotUnsealed: a side was never read.
    """
    with run.engine.begin() as connection:
        left, right = (_snapshot(connection, run, side, full=keys is None) for side in SIDES)
        recover(connection, run)
        metrics.begin(connection, run.scope, [f"{run.pair.metric_prefix}_{name}" for name in ledger.COUNTERS])
        if run.pair.known_links:
            made = base.accept_map(connection, run.scope, run.pair.known_links)
            if made:
                run.log.info("%s: %d links taken from the manual map", run.pair.full_name, made)
        if run.pair.renames and left.complete:
            for old, new in renames.follow(connection, run.scope).items():
                run.log.info("%s: %s is %s at the source now; what is known follows", run.pair.full_name, old, new)
        states.introduce(connection, run.scope)
        interrupted = settle_found(connection, run, right, keys)
        asking = Asking(connection, run, left, right, keys)
        plan_id = plans.open_plan(
            connection, run.scope, run_id=run.run_id, left_snapshot=left.id, right_snapshot=right.id, keys=keys
        )
        sight = _sight(left, right, selective=keys is not None)
        outcome, digest = _decide_all(connection, run, plan_id, keys, sight, asking, force=force)
        verdict, besides = (
            judge(run.pair.guard, _facts(connection, run, counts, left, right))
            for counts in (outcome.counts, asking.counts)
        )
        waiting = asking.close(besides.reasons)
        if waiting is not None and waiting.state == "approved":
            _take_over(connection, run, waiting, plan_id, outcome, digest)
            waiting = None
        _conclude(connection, run, plan_id, outcome, keys, sight)
        close_rest(connection, run, interrupted, [plan_id, *([waiting.id] if waiting else [])])
        if sight.complete and outcome.counts.nothing_to_do and waiting is None:
            # A strange snapshot that changes nothing has proved harmless; the next ones are measured by it.
            snapshots.seal_snapshots(connection, [left.id, right.id])
        plan = plans.close_plan(
            connection,
            run.scope,
            plan_id,
            hash_=digest.hex,
            counts=outcome.counts,
            held_reasons=verdict.reasons,
            beside=waiting.id if waiting else None,
        )
        # Last, because the lease cannot be renewed while a transaction holds it.
        leases.fence(connection, run.lease)
    _tell(run, plan, outcome)
    if waiting is not None:
        run.log.warning(
            "%s: plan %s waits for an approval, and the others go on without it: %s",
            run.pair.full_name,
            waiting.hash[:12],
            "; ".join(waiting.held_reasons),
        )
    return plan


def _snapshot(connection: Connection, run: Run, side: snapshots.Side, *, full: bool) -> Snapshot:
    snapshot = snapshots.latest_snapshot(connection, run.scope, side, full=full)
    if snapshot is None:
        raise SnapshotUnsealed(f"{run.pair.full_name}: the {side} side was never read; run a full reconcile first")
    return snapshot


def _sight(left: Snapshot, right: Snapshot, *, selective: bool) -> Sight:
    return Sight(selective=selective, complete=left.complete and right.complete, sealed=left.sealed and not selective)


def _decide_all(
    connection: Connection,
    run: Run,
    plan_id: int,
    keys: Sequence[str] | None,
    sight: Sight,
    asking: Asking,
    *,
    force: bool,
) -> tuple[_Outcome, PlanHash]:
    outcome, digest = _Outcome(), PlanHash(run.pair.name, run.pair.scope)
    decisions = _decisions(connection, run, keys, sight, force=force)
    while some := list(islice(decisions, BATCH)):
        batch = _Batch()
        changes = [change for decision in some if (change := _sort(decision, outcome, batch)) is not None]
        if asked := asking.take(changes):
            changes = [change for change in changes if change.key not in asked]
            _let_wait(asked, outcome, batch)
        for change in changes:
            digest.add(change)
            outcome.counts.add(change, state_field=run.pair.state_field)
        if changes:
            plans.add_changes(connection, plan_id, changes)
        outcome.drifted += _note(connection, run, batch)
    return outcome, digest


def _let_wait(asked: Mapping[str, str], outcome: _Outcome, batch: _Batch) -> None:
    why = {key: f"waits for an approval: {reason}" for key, reason in asked.items()}
    outcome.undecided += why
    outcome.counts.withheld += len(why)
    batch.at_rest += why
    batch.untracked = [(key, why.get(key, reason)) for key, reason in batch.untracked]
    untracked = {key for key, _ in batch.untracked}
    batch.explained += [(key, reason) for key, reason in why.items() if key not in untracked]


def _take_over(
    connection: Connection, run: Run, approved: StoredPlan, plan_id: int, outcome: _Outcome, digest: PlanHash
) -> None:
    for change in plans.changes(connection, approved.id):
        digest.add(change)
        outcome.counts.add(change, state_field=run.pair.state_field)
    outcome.counts.withheld -= approved.changes
    plans.take_over(connection, approved, plan_id)
    run.log.info(
        "%s: plan %s was approved by %s; what it does is part of this plan",
        run.pair.full_name,
        approved.hash[:12],
        approved.approved_by,
    )


def _decisions(
    connection: Connection, run: Run, keys: Sequence[str] | None, sight: Sight, *, force: bool
) -> Iterator[Decision]:
    known = unequal.known if keys is not None else partial(unequal.narrow, anew=force)
    everything = not known(connection, run.scope)
    # A cursor of its own: the changes are stored over the same connection while the rows are still coming.
    rows = connection.execute(
        text(statement("diff")),
        {
            "scope_id": run.scope.id,
            "everything": everything,
            "keys": None if keys is None else list(keys),
            "force": force,
            "untracked": run.pair.minds_untracked,
            "renames": run.pair.renames,
        },
        execution_options={"yield_per": BATCH},
    )
    # The database's clock, by which retries and quiet times were set.
    now = connection.execute(text("SELECT now()")).scalar_one()
    with rows:
        for row in rows:
            yield decide(row, run.pair, sight, now=now, force=force)


def _sort(decision: Decision, outcome: _Outcome, batch: _Batch) -> Change | None:
    match decision:
        case Planned(change, drift, untracked):
            outcome.counts.drifted += drift
            if untracked:
                batch.untracked.append((change.key, change.reason))
            if change.action is not Action.CREATE or drift:
                batch.drifted.append((change.key, change.reason))
            return change
        case LeftAlone() as left_alone:
            outcome.undecided.append(left_alone.key)
            batch.left_alone.append(left_alone)
            if left_alone.why != "waiting":
                batch.at_rest.append(left_alone.key)
            if left_alone.drifts:
                batch.drifted.append((left_alone.key, left_alone.reason))
            if left_alone.reason:
                batch.explained.append((left_alone.key, left_alone.reason))
            setattr(outcome.counts, left_alone.why, getattr(outcome.counts, left_alone.why) + 1)
        case Undecided(key):
            outcome.undecided.append(key)
            batch.at_rest.append(key)
        case Found(key, finding, left):
            batch.findings.append(finding)
            if left is not None:
                batch.left.append((left, finding.detail))
            if key is not None:
                outcome.undecided.append(key)
                batch.at_rest.append(key)
                batch.explained.append((key, finding.detail))
            if finding.kind == ORPHAN:
                outcome.counts.orphans += 1
            else:
                outcome.counts.conflicts += 1
        case Agreed() as agreed:
            batch.agreed.append(agreed)
    return None


def _note(connection: Connection, run: Run, batch: _Batch) -> int:
    """Store what came out of some decisions; returns how many records newly drifted."""
    if batch.agreed:
        links = [
            NewLink(one.key, one.right_key, one.natural_key, one.left, one.right, linked_by="adopt")
            for one in batch.agreed
        ]
        base.put_links(connection, run.scope, links)
    for item in batch.left_alone:
        if item.why == "invalid":
            _bury(connection, run, item)
    if batch.at_rest:
        states.unschedule(connection, run.scope, batch.at_rest)
    unlinked.introduce(connection, run.scope, batch.untracked)
    unlinked.leave(connection, run.scope, batch.left)
    newly = states.mark_drifted(connection, run.scope, batch.drifted)
    states.explain(connection, run.scope, batch.explained + batch.untracked)
    findings.note_findings(connection, run.scope, batch.findings)
    return newly


def _conclude(
    connection: Connection, run: Run, plan_id: int, outcome: _Outcome, keys: Sequence[str] | None, sight: Sight
) -> None:
    """Draw the conclusions that need all decisions."""
    states.mark_agreed(connection, run.scope, plan_id, outcome.undecided, keys)
    if run.pair.minds_untracked:
        unlinked.settle_returned(connection, run.scope)
    unlinked.settle_gone(connection, run.scope, untracked=run.pair.minds_untracked)
    findings.drop_findings(connection, run.scope, keys=keys, orphans=sight.sealed)
    for key in states.resolve_letters(connection, run.scope):
        run.log.info("%s: the dead letter of %s is resolved: both sides agree again", run.pair.full_name, key)
    prefix = run.pair.metric_prefix
    if outcome.drifted:
        metrics.count(connection, run.scope, f"{prefix}_drift_detected", outcome.drifted)
    if keys is None:
        metrics.count(connection, run.scope, f"{prefix}_reconciliations")


def _bury(connection: Connection, run: Run, item: LeftAlone) -> None:
    """A record that cannot be mapped cannot be written either: retrying would only repeat the refusal."""
    state = states.find_state(connection, run.scope, item.key)
    if state is not None and state.state is State.DEAD_LETTERED and state.last_error == item.reason:
        return
    if state is not None and state.state is State.DEAD_LETTERED:
        states.reprocess(connection, run.scope, [item.key], "a new reason at the source")
    states.fail(connection, run.scope, item.key, item.reason, counted=True, retry_seconds=None)
    payload = fingerprint({"key": item.key, "reason": item.reason}).hex()
    kind = FailureKind.PERMANENT
    states.bury(connection, run.scope, item.key, action="map", payload_hash=payload, plan_hash=None, kind=kind)
    ledger.dead_lettered(connection, run, item.key, item.reason, attempts=1)


def _facts(connection: Connection, run: Run, counts: PlanCounts, left: Snapshot, right: Snapshot) -> GuardFacts:
    unsealed = [f"{run.pair.peers[0]}: {why}" for why in left.unsealed]
    unsealed += [f"{run.pair.peers[1]}: {why}" for why in right.unsealed]
    return GuardFacts(
        linked=base.count_linked(connection, run.scope) + counts.adopted,
        destructive=counts.destructive,
        changes=counts.changes,
        unsealed=tuple(unsealed),
    )


def _tell(run: Run, plan: StoredPlan, outcome: _Outcome) -> None:
    counts = outcome.counts
    run.log.info(
        "%s: plan %s: %d to create, %d to update, %d to link, %d to retire; left alone: %d orphans, %d conflicts, "
        "%d withheld, %d invalid, %d waiting, %d dead letters, %d with fields held back",
        run.pair.full_name,
        plan.hash[:12],
        counts.create,
        counts.update,
        counts.adopt,
        counts.retire,
        counts.orphans,
        counts.conflicts,
        counts.withheld,
        counts.invalid,
        counts.waiting,
        counts.dead_lettered,
        counts.blocked,
    )
    for reason in plan.held_reasons:
        run.log.warning("%s: plan %s is held: %s", run.pair.full_name, plan.hash[:12], reason)
