"""One reconcile as a Dagster run carries it out: both sides read at once, planned and applied under one lease."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, LeaseLost, PlanRefused, SyncError
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import Run, working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.reconcile import approve, refuse_incomplete
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.orchestration.spec import Caching, Metadata, OpenPair, Probe, ProbeResult, ReconcilePipeline
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import Side, Snapshot

PATIENCE = 120.0
"""Seconds to wait for another run of the scope, such as one that a chain event started."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is to do.

    Attributes:
        scope: name of the connection.
        run_id: id of the run.
        user: who launched it, for the approval's entry in the audit log.
        applies: whether the plan is carried out.
        keys: what people gave to select records, ``None`` for all.
        approve: hash of a held plan to let through instead of a new one.
        force: compare field by field, whatever was agreed.
    """

    scope: str
    run_id: str
    user: str
    applies: bool
    keys: Sequence[str] | None = None
    approve: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A side as it was read, with what that took at its peer."""

    snapshot: Snapshot
    seconds: float
    requests: int


@dataclass
class Progress:
    """How far a reconcile came. What it did not reach is not there.

    Attributes:
        left, right: the sides as they were read.
        plan: what is to be done.
        applied: what came of it.
        peer_seconds: time spent waiting for each peer.
        derived: what the pipeline's derived assets say, by their names.
        answers: of the pipeline's probes, by their names.
        numbers: the pipeline's own.
    """

    left: Read | None = None
    right: Read | None = None
    plan: StoredPlan | None = None
    applied: Applied | None = None
    peer_seconds: dict[str, float] = field(default_factory=dict)
    derived: dict[str, Metadata] = field(default_factory=dict)
    answers: dict[str, ProbeResult] = field(default_factory=dict)
    numbers: dict[str, int | float] = field(default_factory=dict)


async def carry_out(
    pipeline: ReconcilePipeline, store: Engine, request: Request, log: logging.Logger, progress: Progress
) -> None:
    """Reconcile one connection and note in ``progress`` what was reached, also when it ends with an error.

    Raises:
        PeerError: a side could not be read, or credentials are refused.
        SnapshotUnsealed: a side was read incompletely and the plan was to be applied; nothing was planned.
        PlanRefused: the plan is held and was to be applied, or the one to approve cannot be.
        ConfigurationError: the keys select nothing that there is.
        LeaseHeld, LeaseLost: another run works on the connection.
    """
    async with (
        pipeline.open(request.scope, store) as opened,
        working_on(store, opened.pair, request.run_id, log, patience=PATIENCE) as run,
    ):
        try:
            await _go(pipeline, run, opened, request, progress)
        finally:
            progress.peer_seconds = dict(opened.peer_seconds)
            progress.numbers = dict(pipeline.numbers(opened))
            _tell_peers(log, opened)


async def _go(pipeline: ReconcilePipeline, run: Run, opened: OpenPair, request: Request, progress: Progress) -> None:
    if request.keys and pipeline.select is not None:
        request = replace(request, keys=await _select(pipeline, opened, request.keys))
    if request.force and isinstance(opened, Caching):
        await opened.forget_cached()
    await _read_both(pipeline, run, opened, request, progress)
    if request.applies:
        refuse_incomplete(run.pair, [side.snapshot for side in (progress.left, progress.right) if side is not None])
    if request.approve:
        progress.plan = await in_thread(approve, run, request.approve, request.user)
    else:
        progress.plan = await in_thread(compare, run, request.keys, force=request.force)
    if not request.applies:
        run.log.info("%s: only planned: nothing is applied", run.pair.full_name)
    elif progress.plan.state != "held":
        progress.applied = await apply(run, progress.plan)
    for probe in pipeline.probes:
        if (answer := await _probed(probe, run, opened)) is not None:
            progress.answers[probe.name] = answer
    if request.applies and progress.plan.state == "held":
        raise PlanRefused(held(progress.plan))


async def _select(pipeline: ReconcilePipeline, opened: OpenPair, given: Sequence[str]) -> list[str]:
    assert pipeline.select is not None
    keys = list(dict.fromkeys(await pipeline.select(opened, given)))
    if not keys:
        # No keys at all would mean everything.
        raise ConfigurationError(f"options.keys: {', '.join(given)} selects nothing; nothing was read or changed")
    return keys


async def _probed(probe: Probe, run: Run, opened: OpenPair) -> ProbeResult | None:
    try:
        return await probe.judge(opened, run.engine, run.scope)
    except LeaseLost:
        raise
    except SyncError as error:
        # What the run was for is done; that nobody could look afterwards must not turn it into a failed one.
        return ProbeResult(passed=False, description=f"could not be answered: {error}")


async def _read_both(
    pipeline: ReconcilePipeline, run: Run, opened: OpenPair, request: Request, progress: Progress
) -> None:
    async def left() -> None:
        progress.left = await _read(run, opened, "left", request)
        if request.keys is None:
            for derived in pipeline.derived:
                progress.derived[derived.name] = await in_thread(derived.describe, run.engine, run.scope, opened)

    async def right() -> None:
        progress.right = await _read(run, opened, "right", request)

    await together(left(), right())


async def _read(run: Run, opened: OpenPair, side: Side, request: Request) -> Read:
    snapshot = await extract(run, side, request.keys)
    peer = run.pair.peers[0 if side == "left" else 1]
    return Read(snapshot, round(opened.peer_seconds[peer], 3), opened.peer_requests[peer])


def held(plan: StoredPlan) -> str:
    """Say why a plan waits and how to let it through."""
    short = plan.hash[:12]
    return f"plan {short} is held: {'; '.join(plan.held_reasons)}. Approve it with approve: {short}"


def _tell_peers(log: logging.Logger, opened: OpenPair) -> None:
    spent = ", ".join(
        f"{peer} {seconds:.2f} s in {opened.peer_requests[peer]} requests"
        for peer, seconds in opened.peer_seconds.items()
        if opened.peer_requests[peer]
    )
    if spent:
        log.info("time at the peers: %s", spent)
