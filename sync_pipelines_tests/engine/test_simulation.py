"""A seeded life of two sides: edits, deletions, faults and kills in any order, then quiet. It must end in agreement."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from sync_pipelines.core.errors import FailureKind, SyncError
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines.store import audit
from sync_pipelines_tests.engine.worlds import (
    Fault,
    World,
    after,
    before,
    breaker_open,
    ignored,
    lost_reply,
    refused,
    rolled_back,
)

KEYS = [f"k{number}" for number in range(8)]


class Killed(BaseException):
    """Stands for SIGKILL."""


def _killed_after(target: object, write: object) -> None:
    write()  # type: ignore[operator]  # a write without arguments
    raise Killed


def _killed_before(target: object, write: object) -> None:
    raise Killed


class Life:
    """Everything that happens, drawn from one seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.faults: list[Fault] = [
            *(refused(kind) for kind in FailureKind),
            breaker_open,
            lost_reply,
            rolled_back,
            ignored,
            _killed_after,
            _killed_before,
            after(self.edit_right),
            before(self.edit_right),
        ]

    def edit_left(self) -> None:
        """The source changes, loses or regains a record."""
        key = self.random.choice(KEYS)
        if key in self.world.left.rows and self.random.random() < 0.3:
            self.world.left.remove(key)
        else:
            self.world.left.put(key, name=f"name {self.random.randrange(5)}", price=self.random.randrange(3))

    def edit_right(self) -> None:
        """Somebody changes or deletes a record at the target."""
        rows = self.world.right.rows
        if rows:
            key = self.random.choice(sorted(rows))
            if self.random.random() < 0.2:
                self.world.right.remove(key)
            else:
                self.world.right.put(key, name=f"edited {self.random.randrange(5)}")

    def script(self) -> None:
        """A coming write meets a fault."""
        operation = self.random.choice(["create", "write", "write", "retire", "read", "find"])
        fault = self.random.choice(self.faults if operation not in ("read", "find") else self.faults[:7])
        self.world.right.script(operation, f"nk-{self.random.choice(KEYS)}", fault)

    def run(self) -> None:
        """One run, of all records or of some, which may end badly; now and then time passes."""
        keys = None if self.random.random() < 0.7 else [f"nk-{key}" for key in self.random.sample(KEYS, 3)]
        with suppress(SyncError, Killed):
            self.world.reconcile(keys=keys)
        if self.random.random() < 0.5:
            self.world.let_time_pass()

    def live(self, steps: int) -> None:
        """Let things happen."""
        acts = [self.edit_left, self.edit_left, self.edit_right, self.script, self.script, self.run, self.run]
        for _ in range(steps):
            self.random.choice(acts)()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happened_two_quiet_runs_bring_agreement_and_the_third_writes_nothing(world: World, seed: int) -> None:
    world.policies |= {"guard": GuardLimits(enabled=False), "in_flight": 3}
    Life(world, seed).live(60)

    world.right.scripts.clear()
    world.let_time_pass()
    world.reprocess()
    world.reconcile()
    world.let_time_pass()
    world.reconcile()

    assert world.agrees(), f"seed {seed}"
    assert world.writes_of(world.reconcile) == {}
    assert set(world.tally()) <= {State.SYNCED}
    in_service = [row.natural_key for row in world.right.rows.values() if row.content.get("state") != "archived"]
    assert len(in_service) == len(set(in_service)), "nothing was ever created twice"
    assert world.sql("SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == [(0,)]
    with world.engine.begin() as connection:
        assert audit.verify(connection, "worlds").intact
