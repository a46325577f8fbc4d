"""One world of a pipeline in which a fault strikes, and its twin, in which nothing ever goes wrong.

Building a world costs more than a cell, so cells share one: each makes the same kinds of edits to it. A cell that fails
leaves a world that nobody trusts; the next one gets a new one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from sync_pipelines.core.errors import SyncError
from sync_pipelines.engine.reconcile import Reconciled
from sync_pipelines.store import audit
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import USUAL, Opening, Registration, Side, Subject
from sync_pipelines_tests.faults.pair import PairFaults

SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Disturbed:
    """What came of a run while a fault was on.

    Attributes:
        error: why it failed, if it did.
        done: what it did otherwise.
        requests: number of requests that each peer received.
        seconds: how long it took.
    """

    error: SyncError | None
    done: Reconciled | None
    requests: Mapping[Side, int]
    seconds: float


@dataclass
class World:
    """A subject with five records: one for each thing that can be done to it, and one that nobody touches.

    Attributes:
        kept, edited, moved, doomed: keys at the source. The doomed one is removed in each round, and the one that is
            created becomes the next to go.
    """

    subject: Subject
    kept: str = ""
    edited: str = ""
    moved: str = ""
    doomed: str = ""
    created: str = ""
    operator: Operator = field(init=False)

    def __post_init__(self) -> None:
        self.operator = Operator(self.subject)
        self.kept, self.edited, self.moved, self.created = self.subject.add(4)
        self.operator.reconcile()

    def change(self) -> None:
        """Create one record, edit one, move one to another state, and remove one."""
        self.doomed = self.created
        (self.created,) = self.subject.add()
        self.subject.edit(self.edited)
        self.subject.change_state(self.moved)
        self.subject.remove(self.doomed)


@dataclass
class Bench:
    """A world to disturb, and its undisturbed twin."""

    world: World
    twin: World
    pair: PairFaults
    rounds: int = 0
    spoiled: bool = False
    told: list[str] = field(default_factory=list)

    @property
    def subject(self) -> Subject:
        """The subject that is disturbed."""
        return self.world.subject

    @property
    def operator(self) -> Operator:
        """Whoever runs it."""
        return self.world.operator

    def change(self) -> None:
        """Make the same changes in both worlds; only the twin is reconciled."""
        self.rounds += 1
        for world in (self.world, self.twin):
            world.change()
        self.twin.operator.reconcile()

    def run(self, opening: Opening = USUAL) -> Disturbed:
        """Do one run, whatever comes of it."""
        before = {side: len(self.subject.peers[side].requests) for side in SIDES}
        started = time.monotonic()
        error, done = None, None
        try:
            done = self.operator.reconcile(opening)
        except SyncError as problem:
            error = problem
        requests = {side: len(self.subject.peers[side].requests) - before[side] for side in SIDES}
        return Disturbed(error, done, requests, time.monotonic() - started)

    def heal(self) -> None:
        """Let the peers be well again, time pass, and the operator take up what was given up."""
        for side in SIDES:
            self.subject.peers[side].faults.clear()
        self.operator.let_time_pass()
        self.operator.reprocess()

    def right_key(self, key: str) -> str:
        """Return the key at the target of a record of the source."""
        ((found,),) = self.operator.sql("SELECT right_key FROM sync.base WHERE left_key = :key", key=key)
        return str(found)

    def errors(self) -> dict[str, str]:
        """Return the last error of every record that is not well, by key."""
        rows = self.operator.sql(
            "SELECT key, last_error FROM sync.record_state WHERE state IN ('failed', 'retrying', 'dead_lettered')"
        )
        return dict(rows)

    def waits(self) -> list[float]:
        """Return in how many seconds the records are tried again that wait for it."""
        rows = self.operator.sql(
            "SELECT extract(epoch FROM next_retry_at - now()) FROM sync.record_state WHERE state = 'retrying'"
        )
        return [float(seconds) for (seconds,) in rows]

    def in_service(self) -> None:
        """Assert that nothing went out of service that its source still has."""
        for key in (self.world.kept, self.world.edited, self.world.moved):
            assert self.subject.in_service(self.subject.natural_key(key)) == 1, f"{key} went out of service"

    def ends_as_the_twin(self) -> None:
        """Assert that the fault left nothing behind: both sides agree as in the twin, and nothing was done twice."""
        self.operator.reconcile()
        if self.operator.committed(self.operator.reconcile):
            assert self.operator.committed(self.operator.reconcile) == 0, "the third run after the fault writes"
        assert self.subject.shown() == self.twin.subject.shown()
        assert self.subject.creates() == self.twin.subject.creates()
        assert self.operator.letters() == []
        assert self.operator.sql("SELECT kind, key, detail FROM sync.finding") == []
        assert self.operator.sql("SELECT key, state FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == []
        assert self.operator.sql("SELECT key, state FROM sync.record_state WHERE state <> 'synced'") == []
        with self.subject.engine.begin() as connection:
            assert audit.verify(connection, self.subject.pair_name).broken_at is None


@contextmanager
def bench_of(registration: Registration, pair: PairFaults, engine: Engine, twin_engine: Engine) -> Iterator[Bench]:
    """Open both worlds of a pipeline until the block is left."""
    with contextlib.ExitStack() as stack:
        subject = stack.enter_context(registration.opened(engine))
        twin = stack.enter_context(registration.opened(twin_engine))
        yield Bench(World(subject), World(twin), pair)
