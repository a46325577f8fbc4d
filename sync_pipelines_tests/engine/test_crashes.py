"""A run that dies between two steps: the next one ends in the same state as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines_tests.engine.worlds import World


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def _kill_at(world: World, operation: str, natural_key: str, *, done: bool) -> None:
    """Let the next run die at a write, before or after it took effect, without releasing anything."""

    def fault(target: object, write: object) -> None:
        if done:
            write()  # type: ignore[operator]  # a write without arguments
        raise Killed

    world.right.script(operation, natural_key, fault)
    with pytest.raises(Killed):
        world.reconcile()


@pytest.mark.parametrize("done", [True, False], ids=["after the create", "before the create"])
def test_given_a_kill_around_a_create_one_record_exists_after_the_rerun(world: World, done: bool) -> None:
    world.left.put("k1", name="one", price="2")
    _kill_at(world, "create", "nk-k1", done=done)
    assert world.sql("SELECT state, right_key FROM sync.effect") == [("intended", None)]

    world.reconcile()
    if not done:
        assert world.right.rows == {}, "the create may still be running: nothing is sent during the quiet time"
        assert "reply to an earlier create was lost" in world.state("k1").reason
        world.let_time_pass()
        world.reconcile()

    assert len(world.right.rows) == 1
    assert world.agrees()
    assert world.state("k1").state is State.SYNCED
    assert world.sql("SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == [(0,)]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("operation", ["write", "retire"])
def test_given_a_kill_around_another_write_the_rerun_completes_it(world: World, operation: str, done: bool) -> None:
    world.fill(10)
    world.reconcile()
    if operation == "write":
        world.left.put("k01", name="new")
    else:
        world.left.remove("k01")
    _kill_at(world, operation, "nk-k01", done=done)

    world.reconcile()

    assert world.agrees()
    archived = world.right.rows[world.links()["k01"]].content["state"] == "archived"
    assert archived is (operation == "retire")
    assert world.writes_of(world.reconcile) == {}
    assert world.sql("SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == [(0,)]


def test_given_a_kill_between_create_and_write_the_draft_is_completed_and_not_doubled(world: World) -> None:
    world.left.put("k1", name="one", price="2")
    _kill_at(world, "write", "nk-k1", done=False)
    assert world.links() == {"k1": "r1"}

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.agrees()


def test_given_a_kill_around_a_create_an_approved_older_plan_does_not_create_it_again(world: World) -> None:
    """The plan was made before the create; only the effect's quiet time stands between it and a second record."""
    world.fill(10)
    world.reconcile()
    world.left.remove("k01", "k02", "k03")
    world.left.put("k11", name="eleven")
    held = world.reconcile().plan
    world.right.script("create", "nk-k11", _die)
    with pytest.raises(Killed):
        asyncio.run(world.reconciling(keys=["nk-k11"]))

    result = world.approve(held.hash)

    assert result.applied is not None
    assert result.applied.outcomes == {"applied": 3, "stale": 1}
    assert world.right.sent["create"] == 11
    world.let_time_pass()
    world.reconcile()
    assert world.agrees()
    assert len(world.right.rows) == 11


def _die(target: object, write: object) -> None:
    raise Killed


def test_given_a_kill_while_a_plan_is_applied_the_rest_is_planned_anew(world: World) -> None:
    world.policies["in_flight"] = 1
    world.policies["quiet_seconds"] = 0.0
    world.fill(6)
    _kill_at(world, "create", "nk-k04", done=False)
    ((plan_hash,),) = world.sql("SELECT hash FROM sync.plan")

    world.reconcile()

    assert world.agrees()
    assert len(world.right.rows) == 6
    assert world.sql("SELECT state FROM sync.plan ORDER BY id") == [("superseded",), ("applied",)]
    with pytest.raises(PlanRefused):
        world.approve(plan_hash)


def test_given_a_kill_while_a_side_is_read_its_last_snapshot_stays(world: World) -> None:
    world.fill(20)
    world.reconcile()
    swept = world.left.sweep

    async def dying(sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        async for page in swept(sweep):
            yield page
            raise Killed

    world.left.sweep = dying  # type: ignore[method-assign]  # a script of this test
    with pytest.raises(Killed):
        world.reconcile()
    world.left.sweep = swept  # type: ignore[method-assign]  # a script of this test

    assert world.sql("SELECT count(*) FROM sync.record WHERE side = 'left'") == [(20,)]
    assert world.writes_of(world.reconcile) == {}
