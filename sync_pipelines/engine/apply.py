"""Apply: carry out a plan, one record at a time, so that a crash at any point does no harm.

For every change that calls the peer: look at the target (is it still what the plan saw?), write down the intent,
call, read back what the target says now, settle. The journal commits each of these steps; nothing is decided by what
a reply said, only by what the target shows afterwards.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.errors import PeerError, RunStopped
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.engine import ledger
from sync_pipelines.engine.attempt import Attempted, attempt, stops_the_run
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.journal import Journal, journaling
from sync_pipelines.engine.link import look_before_forgetting, settle_links
from sync_pipelines.engine.pace import Batch, Pace, since
from sync_pipelines.engine.settle import recover
from sync_pipelines.engine.steps import Outcome, Steps
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.store import leases, plan_states, plans
from sync_pipelines.store.attempts import Standing
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import read_snapshot

LINK_BATCH = 500
"""Changes without a call to the peer that are settled in one transaction."""
READ_AHEAD = 50
"""Changes for which it is looked up at once where their records stand."""
LOGGED_CHANGES = 100
"""Changes of a run that get a line in its log; the rest is counted."""
PROGRESS_SECONDS = 5.0
"""A long run says how far it is this often."""


@dataclass
class Applied:
    """What came of a plan.

    Attributes:
        outcomes: number of changes per outcome.
        actions: number of applied changes per action.
        state_changes: applied updates that moved the record's state.
        adopted: records linked for the first time by natural key.
        stopped: why the run stopped before the end of the plan, if it did.
        seconds: time spent.
        planned: number of changes to carry out.
        story: a line a change for the run log, at most ``LOGGED_CHANGES``.
        told_at: when progress was last logged.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    state_changes: int = 0
    adopted: int = 0
    stopped: str | None = None
    seconds: float = 0.0
    planned: int = 0
    story: list[str] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)

    @property
    def failed(self) -> int:
        """Changes that did not succeed in this run."""
        return self.outcomes[Outcome.FAILED]


async def apply(run: Run, plan: StoredPlan, pace: Pace | None = None) -> Applied:
    """Carry out a plan.

    A change whose record moved since it was planned is stale: it is skipped and planned anew by the next run.

    Arguments:
        pace: in which batches, and who is told of them; ``None`` for all at once.

    Raises:
        PlanRefused: the plan is held, superseded, or was applied before.
        PeerError: (auth) the credentials are refused; what was not tried yet is left for the next run.
        RunStopped: the run was asked to stop; what it had begun is done, the rest is left for the next run.
        LeaseLost: another run took over.
    """
    started = time.monotonic()
    with run.stop.finishing():
        planned = await in_thread(_begin, run, plan)
        applied, halt = Applied(planned=planned), asyncio.Event()
        async with journaling(run.engine, run.lease) as journal:
            await _link(run, journal, plan, _Planned(journal, plan, writes=False, most=planned), applied)
            steps = Steps(run, journal, plan)
            queue = _Queue(steps, _Planned(journal, plan, writes=True, most=planned))
            refused: list[PeerError] = []

            async def work() -> None:
                workers = (_work(run, steps, queue, applied, halt, refused, pace) for _ in range(run.pair.in_flight))
                await together(*workers)

            if pace is None:
                await work()
            else:
                await _in_batches(run, queue, applied, halt, pace, work)
            left = applied.planned - sum(applied.outcomes.values())
            if run.stop.asked and left:
                applied.stopped = applied.stopped or f"stopped by {run.stop.why}"
            applied.seconds = time.monotonic() - started
            await journal.write(lambda connection: _close(connection, run, plan, applied))
    _tell(run, applied)
    if refused:
        raise refused[0]
    if run.stop.asked and left:
        raise RunStopped(
            f"{run.pair.full_name}: stopped by {run.stop.why}: {applied.planned - left} of {applied.planned} changes "
            f"done, {left} left for the next run; no change is half done"
        )
    return applied


def _begin(run: Run, plan: StoredPlan) -> int:
    with run.engine.begin() as connection:
        leases.fence(connection, run.lease)
        plan_states.begin(connection, plan.id)
        recover(connection, run)
        return plans.count_changes(connection, plan.id, "planned")


class _Planned:
    """The changes to carry out, in their order, read a few at a time: all of them may be too many for the memory.

    Arguments:
        writes: whether those that write, or the others.
        most: changes of the plan; without any nothing is read.
    """

    def __init__(self, journal: Journal, plan: StoredPlan, *, writes: bool, most: int) -> None:
        self._journal = journal
        self._plan = plan
        self._actions = [action for action in Action if action.writes is writes]
        self._last: str | None = None
        self._is_over = not most

    async def next(self, count: int) -> list[Change]:
        """Return so many more, fewer at the end."""
        if self._is_over:
            return []
        found = await self._journal.write(partial(self._read, count))
        self._is_over = len(found) < count
        if found:
            self._last = found[-1].key
        return found

    def _read(self, count: int, connection: Connection) -> list[Change]:
        rows = plans.changes(
            connection, self._plan.id, state="planned", limit=count, after=self._last, actions=self._actions
        )
        return list(rows)


class _Queue:
    """Changes in their order, each with where its record stands, which is read for many at once.

    Read ahead is as good as read at the last moment: while the lease is ours nobody else moves it.
    """

    def __init__(self, steps: Steps, planned: _Planned) -> None:
        self._steps = steps
        self._planned = planned
        self._ready: deque[tuple[Change, Standing]] = deque()
        self._reading = asyncio.Lock()
        self._granted: int | None = None

    def grant(self, count: int) -> None:
        """Give out so many changes, and then none until more are granted."""
        self._granted = count

    async def is_empty(self) -> bool:
        """Say whether no change is left, granted or not."""
        async with self._reading:
            await self._read()
            return not self._ready

    async def take(self) -> tuple[Change, Standing] | None:
        """Return the next change, ``None`` when there is none left."""
        async with self._reading:
            if self._granted == 0:
                return None
            await self._read()
            if not self._ready:
                return None
            if self._granted is not None:
                self._granted -= 1
            return self._ready.popleft()

    async def _read(self) -> None:
        if not self._ready and (batch := await self._planned.next(READ_AHEAD)):
            found = await self._steps.standings(batch)
            self._ready.extend((change, found[change.key]) for change in batch)


async def _in_batches(
    run: Run,
    queue: _Queue,
    applied: Applied,
    halt: asyncio.Event,
    pace: Pace,
    work: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    for number in itertools.count(1):
        if halt.is_set() or run.stop.asked or await queue.is_empty():
            return
        await pace.before(run, number)
        before = applied.outcomes.copy()
        queue.grant(pace.size)
        await work()
        came = since(before, applied.outcomes)
        if came or applied.stopped:
            await pace.after(run, Batch(number, sum(came.values()), came, applied.stopped))


async def _work(
    run: Run,
    steps: Steps,
    queue: _Queue,
    applied: Applied,
    halt: asyncio.Event,
    refused: list[PeerError],
    pace: Pace | None,
) -> None:
    while (taken := await queue.take()) is not None:
        if pace is not None and not (halt.is_set() or run.stop.asked):
            await pace.turn(run)
        if halt.is_set() or run.stop.asked:
            return
        change, standing = taken
        result = await attempt(run, steps, change, standing)
        if result is None:
            return
        _note(run, change, result, applied)
        if result.error is not None and stops_the_run(result.error):
            # The others in flight come to their own end; what nobody took up is skipped when the plan is closed.
            applied.stopped = str(result.error)
            refused.append(result.error)
            halt.set()


async def _link(run: Run, journal: Journal, plan: StoredPlan, planned: _Planned, applied: Applied) -> None:
    while not run.stop.asked and (batch := await planned.next(LINK_BATCH)):
        await look_before_forgetting(run, journal, plan, batch)
        outcomes = await journal.write(partial(settle_links, run, plan, batch))
        for change, result in zip(batch, outcomes, strict=True):
            _note(run, change, result, applied)


def _note(run: Run, change: Change, result: Attempted, applied: Applied) -> None:
    applied.outcomes[result.outcome] += 1
    if result.outcome is Outcome.APPLIED:
        applied.actions[change.action] += 1
        applied.adopted += change.adopts
        applied.state_changes += change.action is Action.UPDATE and run.pair.state_field in change.fields
    if len(applied.story) < LOGGED_CHANGES:
        outcome = "" if result.outcome is Outcome.APPLIED else f" {result.outcome}"
        applied.story.append(f"{change.action} {change.key}{outcome}: {result.message}")
    done = sum(applied.outcomes.values())
    if time.monotonic() - applied.told_at > PROGRESS_SECONDS:
        applied.told_at = time.monotonic()
        run.log.info("%s: %d of %d changes done", run.pair.full_name, done, applied.planned)


def _close(connection: Connection, run: Run, plan: StoredPlan, applied: Applied) -> None:
    if skipped := plans.skip_rest(connection, plan.id):
        applied.outcomes["skipped"] = skipped
    outcome = {
        "outcomes": dict(applied.outcomes),
        "actions": dict(applied.actions),
        "state_changes": applied.state_changes,
        "adopted": applied.adopted,
        "stopped": applied.stopped,
        "seconds": round(applied.seconds, 3),
    }
    plan_states.finish(connection, plan.id, outcome)
    if applied.stopped and not applied.outcomes[Outcome.APPLIED]:
        plan_states.reopen(connection, plan.id)
    ledger.event(
        connection,
        run,
        "reconcile",
        success=applied.stopped is None,
        plan=plan.hash,
        **{f"{run.pair.name}_checked": read_snapshot(connection, plan.left_snapshot).records},
        **{f"{run.pair.name}_queued": plan.changes},
        drift_detected=int(plan.counts["drifted"]),
        approved_by=plan.approved_by,
        duration_ns=round(applied.seconds * 1e9),
        **outcome,
    )


def _tell(run: Run, applied: Applied) -> None:
    # One message for all changes: a message each would flood the event log of a large run.
    done = sum(applied.outcomes.values())
    if applied.story:
        rest = f"\n... and {done - len(applied.story)} more" if done > len(applied.story) else ""
        run.log.info("%s: changes:\n%s%s", run.pair.full_name, "\n".join(applied.story), rest)
    level = logging.WARNING if applied.failed or applied.stopped else logging.INFO
    numbers = ", ".join(f"{number} {outcome}" for outcome, number in sorted(applied.outcomes.items()))
    run.log.log(level, "%s: %s in %.1f s", run.pair.full_name, numbers or "nothing to do", applied.seconds)
