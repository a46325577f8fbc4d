"""A plan is carried out in batches: each is over before the next begins, and whoever sets the pace is told of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError, RunStopped
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import Run, working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.pace import Batch
from sync_pipelines.engine.stopping import Stop
from sync_pipelines_tests.engine.worlds import World, refused


@dataclass
class Steady:
    """Sets a pace, and keeps what happened: how much was written when a batch began or was over.

    Attributes:
        stops_before: number of the batch before which the run is asked to stop.
        stops_at: number of the change before which it is.
    """

    world: World
    size: int
    stops_before: int = 0
    stops_at: int = 0
    begun: list[int] = field(default_factory=list)
    told: list[Batch] = field(default_factory=list)
    turns: int = 0

    async def before(self, run: Run, number: int) -> None:
        """Keep how much is written."""
        self.begun.append(len(self.world.right.rows))
        if number == self.stops_before:
            run.stop.ask("a test")

    async def turn(self, run: Run) -> None:
        """Count."""
        self.turns += 1
        if self.turns == self.stops_at:
            run.stop.ask("a test")

    async def after(self, run: Run, batch: Batch) -> None:
        """Keep what it came to, at a time when everything in it is settled."""
        assert self.world.sql("SELECT FROM sync.effect WHERE state = 'intended'") == []
        self.told.append(batch)


def paced(world: World, pace: Steady) -> Applied:
    """Read, plan and carry out at a pace."""

    async def run() -> Applied:
        async with working_on(world.engine, world.pair, "run-1", world.log) as run:
            await extract(run, "left")
            await extract(run, "right")
            return await apply(run, compare(run), pace)

    return asyncio.run(Stop().over(run()))


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 50, [2]), (60, 55, [55, 5]), (0, 3, [])]
)
def test_given_a_pace_the_changes_come_in_batches_of_its_size(
    world: World, count: int, size: int, sizes: list[int]
) -> None:
    world.fill(count)
    pace = Steady(world, size)

    applied = paced(world, pace)

    assert applied.outcomes["applied"] == count
    assert [batch.size for batch in pace.told] == sizes
    assert [batch.number for batch in pace.told] == list(range(1, len(sizes) + 1))
    assert pace.begun == [sum(sizes[:number]) for number in range(len(sizes))]
    assert pace.turns == count


@pytest.mark.parametrize(
    ("stops_before", "stops_at", "written"), [(2, 0, 3), (0, 5, 4)], ids=["between batches", "within one"]
)
def test_given_a_stop_what_is_in_hand_is_finished_and_the_rest_is_done_by_the_next_run(
    world: World, stops_before: int, stops_at: int, written: int
) -> None:
    world.fill(7)
    world.policies["in_flight"] = 1

    with pytest.raises(RunStopped, match=f"{written} of 7 changes done"):
        paced(world, Steady(world, 3, stops_before, stops_at))

    assert len(world.right.rows) == written
    rest = Steady(world, 3)
    paced(world, rest)
    assert sum(batch.size for batch in rest.told) == 7 - written
    assert world.agrees()


def test_given_refused_credentials_no_further_batch_begins_and_the_last_one_says_why(world: World) -> None:
    for key in world.fill(7):
        if key > "k04":
            world.right.script("create", f"nk-{key}", refused(FailureKind.AUTH, 401))
    world.policies["in_flight"] = 1
    pace = Steady(world, 3)

    with pytest.raises(PeerError):
        paced(world, pace)

    assert [batch.outcomes for batch in pace.told] == [{"applied": 3}, {"applied": 1, "failed": 1}]
    assert [batch.error is not None for batch in pace.told] == [False, True]


def test_a_wait_ends_when_the_run_is_asked_to_stop() -> None:
    async def waiting() -> tuple[bool, bool]:
        stop = Stop()
        in_vain = await stop.within(0.001)
        asyncio.get_running_loop().call_soon(stop.ask, "a test")
        return in_vain, await stop.within(3600)

    assert asyncio.run(waiting()) == (False, True)
