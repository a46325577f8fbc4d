"""One random world: two peers, people who edit, processes that run the engine and die, all drawn from one seed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.store import states
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.engine.worlds import approve_and_apply, is_archived
from sync_pipelines_tests.simulation.clock import Clock, Stalled, VirtualLoop
from sync_pipelines_tests.simulation.database import SimulationDatabase, Terminal
from sync_pipelines_tests.simulation.peers import Request, Source, Target
from sync_pipelines_tests.simulation.people import People
from sync_pipelines_tests.simulation.process import MOMENTS, PROCESS, Doom, Process
from sync_pipelines_tests.simulation.promises import Promises
from sync_pipelines_tests.simulation.weather import Weather

MOST_AT_ONCE = 3
"""Processes that work at the same time."""
QUIET = 60.0
LONG = 2 * 3600.0
"""Seconds after which every retry is due, every lease has run out and every quiet time is over."""
_SILENT = logging.getLogger("simulation")
_SILENT.propagate = False
_SILENT.addHandler(logging.NullHandler())

Work = Callable[[Process], Awaitable[Reconciled]]


@dataclass(frozen=True)
class Story:
    """What happened in a world: the same for the same seed, line by line.

    Attributes:
        lines: everything that happened, each with its time.
        broken: promises that were not kept, empty when all is well.
        explained: differences between the sides that something explains.
        met: how often each fault was met.
    """

    seed: int
    lines: tuple[str, ...]
    broken: tuple[str, ...]
    explained: int
    met: dict[str, int] = field(compare=False, default_factory=dict)


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, database: SimulationDatabase, log: logging.Logger = _SILENT) -> None:
        self.seed = seed
        self.database = database
        self.log = log
        self.random = random.Random(f"{seed}/script")
        self.clock = Clock()
        self.loop = VirtualLoop(self.clock)
        self.ended = False
        self.lines: list[str] = []
        self.faults: list[str] = []
        self.weather = Weather(random.Random(f"{seed}/weather"))
        self.left = Source("source", self.weather, self)
        self.right = Target("target", self.weather, self)
        self.people = People(random.Random(f"{seed}/people"), self.left, self.right, self)
        self.pair = self._pair()
        self.processes: list[Process] = []
        self._terminals: dict[Process, Terminal] = {}
        self._terminal = database.terminal(self.clock)
        with self.connection() as connection:
            self.scope = ensure_scope(connection, self.pair.name, self.pair.scope)
        self.promises = Promises(self)

    def live(self) -> Story:
        """Live from the first edit to the last check."""
        with self.clock.ruling():
            try:
                self.loop.run_until_complete(self._life())
            except Stalled as stalled:
                self.broken(f"{stalled}: {[p.name for p in self.working]}")
            finally:
                self._end()
        return Story(self.seed, tuple(self.lines), tuple(self.faults), self.promises.explained, self.weather.met)

    # What the peers report --------------------------------------------------------------------------------------

    def tell(self, what: str) -> None:
        """Write down what happened, while it happens."""
        if self.ended:
            return
        self.lines.append(f"{self.clock.seconds:10.3f} {what}")

    def broken(self, promise: str) -> None:
        """A promise is broken: the world goes on, the seed has failed."""
        self.tell(f"BROKEN: {promise}")
        if not self.ended:
            self.faults.append(promise)

    def judge(self, request: Request) -> None:
        """A write is about to be sent."""
        self.promises.judge(request)

    def somebody_edits(self, right_key: str) -> None:
        """Let a person edit a record at the target."""
        self.people.edit_content(right_key)

    # What the world is made of ----------------------------------------------------------------------------------

    @property
    def working(self) -> list[Process]:
        """Processes that are neither done nor dead."""
        return [process for process in self.processes if not process.ended.is_set()]

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A transaction of an onlooker."""
        with self._terminal.engine.begin() as connection:
            yield connection

    def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Look into the engine's memory; ``:scope`` and ``:chain`` are this world's."""
        own = {"scope": self.scope.id, "chain": self.pair.name}
        with self.connection() as connection:
            return [tuple(row) for row in connection.execute(text(statement), own | parameters)]

    def _pair(self) -> Pair:
        draw = self.random
        limits = GuardLimits(
            enabled=draw.random() < 0.7,
            max_fraction=Decimal(draw.choice(["0.1", "0.34", "1"])),
            max_count=draw.choice([1, 3, 500]),
            ignore_up_to=draw.choice([0, 1]),
        )
        return Pair(
            name=f"world-{self.seed}",
            scope="one",
            left=self.left,
            right=self.right,
            peers=("source", "target"),
            guard=limits,
            retry=RetryPolicy(base=draw.choice([1.0, 30.0]), cap=600.0, max_retries=draw.choice([0, 2, 5])),
            state_field="state",
            retired=is_archived,
            quiet_seconds=QUIET,
            in_flight=draw.choice([1, 2, 5]),
            audit_scope=f"seed-{self.seed}",
        )

    # What happens -----------------------------------------------------------------------------------------------

    async def _life(self) -> None:
        for _ in range(self.random.randrange(2, 8)):
            self.people.edit_left()
        if self.random.random() < 0.7:
            await self.start(self._reconcile()).ended.wait()
        if self.random.random() < 0.7:
            self.weather.change()
        for _ in range(self.random.randrange(6, 16)):
            await asyncio.sleep(self._gap())
            await self._step()
        await self._calm()
        await self.promises.hold_at_the_end()

    def _gap(self) -> float:
        # What happens while a run is at work is more interesting than what happens between two.
        choices = [0.0, 0.1, 1.0, 1.0, 30.0] if self.working else [0.0, 1.0, 90.0, 700.0]
        return self.random.choice(choices) * self.random.random()

    async def _step(self) -> None:
        act = self.random.choices(
            [
                self.people.edit_left,
                self.people.edit_right,
                self.weather.change,
                self._run_some,
                self._approve_some,
                self._pause_one,
                self._kill_one,
                self._reprocess,
            ],
            weights=[7, 4, 2, 8, 2, 3, 1, 1],
        )[0]
        act()
        if self.random.random() < 0.15:
            await self._all_done()

    def _run_some(self) -> None:
        draw = self.random
        keys = None if draw.random() < 0.7 else self.people.some_natural_keys()
        patience = draw.choice([0.0, 0.0, 30.0, 300.0])
        plan_only, force = draw.random() < 0.05, draw.random() < 0.1
        doom = self._doom() if draw.random() < 0.4 else None
        if len(self.working) < MOST_AT_ONCE:
            self.start(self._reconcile(keys=keys, patience=patience, plan_only=plan_only, force=force), doom)

    def _doom(self) -> Doom:
        moment = self.random.choice(MOMENTS)
        number = self.random.randrange(1, {"statement": 120, "before commit": 30, "after commit": 30}.get(moment, 6))
        pause = 0.0 if self.random.random() < 0.6 else self.random.choice([50.0, 70.0, 200.0])
        return Doom(moment, number, pause)

    def _reconcile(self, **options: Any) -> tuple[str, Work]:
        told = ", ".join(f"{name} {value}" for name, value in options.items() if value)

        async def work(process: Process) -> Reconciled:
            engine = self._terminals[process].engine
            return await reconcile(engine, self.pair, run_id=process.name, log=self.log, **options)

        return f"run {told}", work

    def _approve_some(self) -> None:
        held = self.held()
        if held and len(self.working) < MOST_AT_ONCE:
            self.start(self._approval(self.random.choice(held)))

    def _approval(self, plan_hash: str) -> tuple[str, Work]:
        async def work(process: Process) -> Reconciled:
            engine = self._terminals[process].engine
            return await approve_and_apply(engine, self.pair, plan_hash, run_id=process.name, log=self.log)

        return f"approve and apply {plan_hash[:8]}", work

    def held(self) -> list[str]:
        """Hashes of the plans that wait for an approval."""
        rows = self.sql("SELECT p.hash FROM sync.plan p WHERE p.scope_id = :scope AND p.state = 'held' ORDER BY p.id")
        return [row[0] for row in rows]

    def _pause_one(self) -> None:
        running = [process for process in self.working if not process.paused]
        if running:
            self._pause(self.random.choice(running), self.random.choice([5.0, 50.0, 70.0, 200.0]))

    def _pause(self, process: Process, seconds: float) -> None:
        self.tell(f"{process.name} is paused for {seconds:.0f} s")
        process.paused = True
        self.loop.call_later(seconds, self._go_on, process, context=Context())

    def _go_on(self, process: Process) -> None:
        if process.paused and not process.dead:
            self.tell(f"{process.name} goes on")
            process.go_on()

    def _kill_one(self) -> None:
        if self.working:
            self.random.choice(self.working).kill("from outside")

    def _reprocess(self) -> None:
        with self.connection() as connection:
            keys = states.reprocess(connection, self.scope, None, "ada")
        if keys:
            self.tell(f"ada reprocesses {', '.join(keys)}")

    async def _calm(self) -> None:
        self.weather.calm()
        for process in self.working:
            self._go_on(process)
        await self._all_done()
        await asyncio.sleep(LONG)
        self.tell("the last edit is over, all is calm")

    async def _all_done(self) -> None:
        for process in self.working:
            await process.ended.wait()

    async def settle(self, *, approving: bool) -> None:
        """Do one quiet run; a person looks at what it holds."""
        self._reprocess()
        await self.start(self._reconcile()).ended.wait()
        if approving and (held := self.held()):
            await self.start(self._approval(held[-1])).ended.wait()
        await asyncio.sleep(LONG)

    # Processes --------------------------------------------------------------------------------------------------

    def start(self, named_work: tuple[str, Work], doom: Doom | None = None) -> Process:
        """Start a process and return it; it ends by itself or is killed."""
        what, work = named_work
        process = Process(f"p{len(self.processes) + 1}", doom, edits_at_start=self.people.edits)
        process.on_death = lambda why: self._bring_down(process, why)
        process.on_pause = lambda seconds: self._pause(process, seconds)
        self.processes.append(process)
        self._terminals[process] = self.database.terminal(self.clock, process)
        fate = f" ({'stops' if doom.pause else 'dies'} at {doom.moment} {doom.number})" if doom else ""
        self.tell(f"{process.name}: {what}{fate}")
        context = copy_context()
        context.run(PROCESS.set, process)
        task = self.loop.create_task(self._work(process, work), context=context)
        task.add_done_callback(lambda _: self._over(process))
        return process

    async def _work(self, process: Process, work: Work) -> None:
        try:
            done = await work(process)
        except Exception as error:
            if process.dead:
                # It was killed within a call of its own; what it says while it comes apart is heard by nobody.
                return
            if not isinstance(error, SyncError):
                self.broken(f"{process.name} ends with {type(error).__name__}: {error}")
            else:
                self.tell(f"{process.name}: {type(error).__name__}: {error}")
        else:
            outcomes = dict(sorted(done.applied.outcomes.items())) if done.applied else None
            held = f" held ({'; '.join(done.plan.held_reasons)})" if done.plan.state == "held" else ""
            self.tell(f"{process.name}: plan {done.plan.hash[:8]} {_counts(done.plan.counts)}{held}: {outcomes}")

    def _over(self, process: Process) -> None:
        if process.dead:
            return
        process.ended.set()
        process.tasks.clear()
        self.database.give_back(self._terminals.pop(process))

    def _bring_down(self, process: Process, why: str) -> None:
        self.tell(f"{process.name} is killed ({why})")
        self.database.discard(self._terminals.pop(process))

    def _end(self) -> None:
        for process in self.working:
            process.kill("the world ends")
        self.ended = True
        for process in self.processes:
            process.bury()
        self.database.give_back(self._terminal)
        self.loop.close()


def _counts(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) for name, value in sorted(counts.items()) if value and not isinstance(value, dict)}
