"""Carries out the syncs that people start: entity by entity, in batches, so that they can be paused and cancelled.

A worker owns its sync for as long as it shows that it is alive. When it is gone, any other one takes the sync up: what
was done is known from the engine's plans and effects, so that nothing is done again and the numbers stay right.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sync_pipelines.core.conflicts import FIRST_WAIT, JITTER, LONGEST_WAIT, Kind, Strategy, strategy_for, wait_before
from sync_pipelines.core.errors import DatabaseUnavailable, FailureKind, PeerError, RunStopped, SyncError
from sync_pipelines.core.orchestration import Activity, ConflictStrategy, Status, Step, SyncEntity, SyncSystem
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.pace import Batch
from sync_pipelines.engine.steps import Outcome
from sync_pipelines.engine.stopping import Stop, current_stop
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.engine.two_way import TwoWayPair
from sync_pipelines.pipelines.commerce.sync_shop import OpenedShop, Pass, Terms
from sync_pipelines.store import conflicts, orchestrations, sync_activity, sync_items, sync_steps
from sync_pipelines.store.conflicts import Found
from sync_pipelines.store.orchestrations import Orchestration, Unowned
from sync_pipelines.store.outage import OUTAGES, outages_in_words
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.store.scopes import Scope, ensure_scope

SIDES: Mapping[SyncSystem, Side] = {SyncSystem.WOOCOMMERCE: Side.LEFT, SyncSystem.ODOO: Side.RIGHT}
OWNER_SECONDS = 60.0
"""A worker that was killed keeps its sync from others for at most this long."""
LOOK_SECONDS = 1.0
"""A worker looks this often whether it is to pause; it also looks before every change."""
PATIENCE = 120.0
"""Seconds that a sync waits for another run of the same records to end."""
LONGEST_TURN = 3600.0
"""Seconds that a change may have to wait for its turn."""
LONGEST_RETRY_WAIT = 90.0
"""Seconds that a sync waits for a record that may be tried again later; beyond that it ends without it."""

Wait = Callable[[Stop, float], Awaitable[object]]
"""Waits for so many seconds, or until the run is asked to stop."""


@dataclass(frozen=True, slots=True)
class Temper:
    """How a worker passes its time.

    Attributes:
        wait: how it waits.
        chance: random numbers from 0 to 1, for waits that keep many apart.
        owner_seconds, look_seconds, patience: as the constants of this module.
    """

    wait: Wait = Stop.within
    chance: Callable[[], float] = random.random
    owner_seconds: float = OWNER_SECONDS
    look_seconds: float = LOOK_SECONDS
    patience: float = PATIENCE


async def run_sync(
    engine: Engine,
    sync_id: str,
    shop: OpenedShop,
    *,
    log: logging.Logger,
    temper: Temper | None = None,
) -> Orchestration | None:
    """Carry a sync out until it is over, or paused, or cancelled. Returns it as it then is.

    Returns ``None`` when it does not wait for a worker: another one has it, or it is over.

    Arguments:
        shop: the shop of the sync.

    Raises:
        RunStopped: the process is to end, or another worker took over; whoever takes it up goes on from here.
        DatabaseUnavailable: the database went away; likewise.
    """
    with outages_in_words(engine):
        return await _run(engine, sync_id, shop, log, temper or Temper())


async def _run(
    engine: Engine, sync_id: str, shop: OpenedShop, log: logging.Logger, temper: Temper
) -> Orchestration | None:
    owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    before = await in_thread(_claim, engine, sync_id, owner, temper.owner_seconds)
    if before is None:
        return None
    worker = _Worker(engine, before, owner, log, temper)
    try:
        return await worker.carry_out(shop)
    except (RunStopped, Unowned, DatabaseUnavailable, *OUTAGES, asyncio.CancelledError):
        with suppress(SQLAlchemyError):
            await in_thread(worker.step, orchestrations.let_go)
        raise
    except Exception as error:
        # A bug of ours: it is shown to whoever started the sync, and to us.
        await in_thread(worker.end, Step.FAIL, f"{type(error).__name__}; see the log of the worker")
        raise


def _claim(engine: Engine, sync_id: str, owner: str, seconds: float) -> Orchestration | None:
    with engine.begin() as connection:
        before = orchestrations.claim(connection, sync_id, owner, seconds)
        if before is not None and before.started_at is None:
            sync_activity.note(connection, before, Activity.SYNC_STARTED, **_asked_for(before))
        elif before is not None and before.status is Status.PROCESSING:
            sync_activity.note(connection, before, Activity.SYNC_RESUMED, because="its worker ended")
        return before


def _asked_for(sync: Orchestration) -> dict[str, Any]:
    return {"systems": list(sync.systems), "entityTypes": list(sync.entities), "config": sync.config.model_dump()}


class _Worker:
    """One worker's time with one sync. It sets the engine's pace (:class:`sync_pipelines.engine.pace.Pace`)."""

    def __init__(self, engine: Engine, sync: Orchestration, owner: str, log: logging.Logger, temper: Temper) -> None:
        self._engine = engine
        self._sync = sync
        self._owner = owner
        self._log = log
        self._temper = temper
        self._stop = Stop()
        self._ambient = current_stop()
        self._requested: Step | None = None
        self._is_first_batch = True
        self._places: dict[SyncEntity, _Place] = {}
        self._parts: dict[str, tuple[SyncSystem, SyncEntity]] = {}
        self._held: dict[tuple[SyncSystem, SyncEntity], str] = {}
        rate = sync.config.rateLimit
        limits = PeerLimits(rate=rate / 60, burst=float(rate), longest_wait=LONGEST_TURN)
        self._gate = PeerGate(engine, limits, sync.org)

    async def carry_out(self, shop: OpenedShop) -> Orchestration:
        """Do all of it, unless asked to stop.

        Raises:
            RunStopped: the process is to end, or another worker took over.
        """
        with self._ambient.finishing():
            async with self._watching():
                try:
                    errors, carried_out = await self._stop.over(self._all(shop))
                except RunStopped:
                    if self._requested is None:
                        raise
                    return await in_thread(self.end, self._requested)
                return await in_thread(self._conclude, errors, carried_out)

    def step(self, step: Callable[[Connection, str, str], Any]) -> Any:
        """Do something to the sync in a transaction, as its owner."""
        with self._engine.begin() as connection:
            return step(connection, self._sync.sync_id, self._owner)

    def end(self, step: Step, error: str | None = None) -> Orchestration:
        """Let the sync take a step after which nobody works on it."""
        with self._engine.begin() as connection:
            sync = orchestrations.held_by(connection, self._sync.sync_id, self._owner)
            return sync_steps.end(connection, sync, step, error=error)

    def _conclude(self, errors: list[str], carried_out: bool) -> Orchestration:
        with self._engine.begin() as connection:
            sync = orchestrations.held_by(connection, self._sync.sync_id, self._owner)
            if sync.requested is Step.CANCEL:
                return sync_steps.end(connection, sync, Step.CANCEL)
            return sync_steps.conclude(
                connection, sync, error="; ".join([*errors, *self._held.values()]) or None, carried_out=carried_out
            )

    async def _all(self, shop: OpenedShop) -> tuple[list[str], bool]:
        """Do entity after entity; one that fails does not keep the others. Returns what went wrong, if anything."""
        errors: list[str] = []
        carried_out = False
        for entity in self._sync.entities:
            try:
                await self._entity(entity, shop)
                carried_out = True
            except DatabaseUnavailable:
                raise
            except SyncError as error:
                self._log.error("%s: %s: %s", self._sync.sync_id, entity, error)
                errors.append(f"{entity}: {error}")
                await self._note(Activity.SYNC_ERROR, entity=entity, error=str(error))
                if isinstance(error, PeerError) and error.kind is FailureKind.AUTH:
                    # Every further call with refused credentials may lock the account.
                    await in_thread(self._note_refused, entity, error)
                    return errors, False
        return errors, carried_out

    async def _entity(self, entity: SyncEntity, shop: OpenedShop) -> None:
        """Synchronize the records of an entity, and again as long as something may be tried again."""
        terms = Terms(
            run_id=self._sync.sync_id,
            log=self._log,
            writes_to=[SIDES[system] for system in self._sync.systems],
            pace=self,
            patience=self._temper.patience,
            begin=partial(self._begin, entity),
        )
        for retries in range(self._sync.config.maxRetries + 1):
            done = await shop.synchronize(entity, terms)
            self._go_on()
            wait = await in_thread(self._look_back, self._places[entity], done, retries)
            if wait is None:
                return
            await self._temper.wait(self._stop, wait)
            self._go_on()

    async def _begin(self, entity: SyncEntity, pair: TwoWayPair) -> TwoWayPair:
        self._places[entity] = await in_thread(self._place, entity, pair)
        retry = RetryPolicy(FIRST_WAIT, LONGEST_WAIT, self._sync.config.maxRetries)
        return replace(pair, policies={side: {**pair.policies.get(side, {}), "retry": retry} for side in Side})

    def _place(self, entity: SyncEntity, pair: TwoWayPair) -> _Place:
        with self._engine.begin() as connection:
            own, targets = ensure_scope(connection, pair.name, pair.scope), {}
            for system in self._sync.systems:
                one_way = pair.one_way(SIDES[system], self._engine)
                targets[SIDES[system]] = ensure_scope(connection, one_way.name, one_way.scope)
                self._parts[one_way.full_name] = (system, entity)
                sync_items.begin(connection, self._sync, (system, entity), targets[SIDES[system]], own)
        return _Place(entity, own, targets)

    def _note_refused(self, entity: SyncEntity, error: PeerError) -> None:
        place = self._places.get(entity)
        if place is not None:
            found = Found(error.peer, error.peer, Kind.AUTH_ERROR, str(error))
            with self._engine.begin() as connection:
                conflicts.note(connection, place.pair, self._sync.org, entity, [found])
                sync_items.stamp_conflicts(connection, self._sync, place.pair)

    def _look_back(self, place: _Place, done: Pass, retries: int) -> float | None:
        """Note what a pass came to. Returns how long to wait before another one, ``None`` when none would help."""
        with self._engine.begin() as connection:
            sync_items.stamp_conflicts(connection, self._sync, place.pair)
            # Whoever has read and written both systems was let in.
            refused = conflicts.open_records(connection, place.pair, Kind.AUTH_ERROR)
            conflicts.close(
                connection, place.pair, refused, "the credentials are accepted again", kinds=[Kind.AUTH_ERROR]
            )
            if not retries:
                self._note_where_nothing_is_to_do(connection, place)
            waits = [sync_items.next_try(connection, target) for target in place.targets.values()]
            kinds = sync_items.found_conflicts(connection, self._sync, place.pair)
        for system in self._sync.systems:
            plan = done.plans[SIDES[system]]
            self._held.pop((system, place.entity), None)
            if plan.state == "held":
                why = "; ".join(plan.held_reasons)
                self._held[system, place.entity] = f"{place.entity}: plan {plan.hash[:12]} for {system} is held: {why}"
        config = self._sync.config
        if retries == config.maxRetries:
            return None
        jitter = JITTER * self._temper.chance()
        soon = [wait + jitter for wait in waits if wait is not None and wait <= LONGEST_RETRY_WAIT]
        again = any(applied.outcomes[Outcome.STALE] for applied in done.applied.values()) or (
            config.conflictStrategy is ConflictStrategy.AUTO_RETRY
            and any(strategy_for(kind, retries, config.maxRetries) is Strategy.AUTO_RETRY for kind in kinds)
        )
        if again:
            soon.append(wait_before(retries, self._temper.chance()).total_seconds())
        return max(soon, default=None)

    def _note_where_nothing_is_to_do(self, connection: Connection, place: _Place) -> None:
        counts = sync_items.counts(connection, self._sync)
        for system in self._sync.systems:
            if not counts[system, place.entity].total:
                facts = {"system": system, "entityType": place.entity}
                sync_activity.note(connection, self._sync, Activity.NO_ITEMS_TO_SYNC, **facts)

    @property
    def size(self) -> int:
        """Changes in a batch."""
        return self._sync.config.batchSize

    async def before(self, run: Run, number: int) -> None:
        """Pause between two batches, and for half as long between two systems."""
        seconds = self._sync.config.interBatchDelayMs / 1000
        if not self._is_first_batch and seconds:
            await self._temper.wait(run.stop, seconds if number > 1 else seconds / 2)
        self._is_first_batch = False

    async def turn(self, run: Run) -> None:
        """Wait until the organization may have another change made, and look whether the sync is to be paused."""
        admission = asyncio.ensure_future(self._gate.admit("changes"))
        stopped = asyncio.ensure_future(run.stop.within(LONGEST_TURN))
        try:
            await asyncio.wait({admission, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not admission.done():
                admission.cancel()
        if admission.done() and not admission.cancelled():
            admission.result()
        await self._beat()

    async def after(self, run: Run, batch: Batch) -> None:
        """Note what a batch came to."""
        system, entity = self._parts[run.pair.full_name]
        facts = {"system": system, "entityType": entity, "batch": batch.number, "size": batch.size}
        facts |= {"outcomes": dict(batch.outcomes)}
        if batch.error is None:
            await self._note(Activity.BATCH_PROCESSED, **facts)
        else:
            await self._note(Activity.BATCH_ERROR, **facts, error=batch.error)

    async def _note(self, action: Activity, **details: Any) -> None:
        def step(connection: Connection, _sync_id: str, _owner: str) -> None:
            sync_activity.note(connection, self._sync, action, **details)

        await in_thread(self.step, step)

    def _go_on(self) -> None:
        if self._stop.asked:
            raise RunStopped(f"{self._sync.sync_id}: stopped by {self._stop.why}")

    async def _beat(self) -> None:
        """Show that the worker is alive, and do what it is asked to."""
        if self._ambient.asked:
            self._ask(self._ambient.why)
        try:
            requested = await in_thread(self.step, partial(_beat, seconds=self._temper.owner_seconds))
        except Unowned:
            self._ask("another worker")
            return
        if requested is not None and not self._stop.asked:
            self._requested = requested
            self._ask(f"a request to {requested}")

    def _ask(self, why: str) -> None:
        # Asked twice, a run drops what it has in hand.
        if not self._stop.asked:
            self._stop.ask(why)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Look again and again whether the sync is to be paused, or the process to end."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while not await self._ambient.within(self._temper.look_seconds):
            try:
                await self._beat()
            except SQLAlchemyError as error:
                self._log.warning("%s: no sign of life could be given: %s", self._sync.sync_id, type(error).__name__)
        self._ask(self._ambient.why)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the records of an entity are found: the scope of the merged ones, and of each system written to."""

    entity: SyncEntity
    pair: Scope
    targets: Mapping[Side, Scope]


def _beat(connection: Connection, sync_id: str, owner: str, *, seconds: float) -> Step | None:
    return orchestrations.beat(connection, sync_id, owner, seconds)
