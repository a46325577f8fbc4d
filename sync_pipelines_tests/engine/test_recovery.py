"""What a killed run left unsettled: found by the next one, and in the audit log as what it was."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.engine.worlds import World


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def _kill_at(world: World, operation: str, *, done: bool) -> str:
    """Let the next run die at a write of k01, before or after it took effect. Returns the run's id."""

    def fault(_target: object, write: Any) -> None:
        if done:
            write()
        raise Killed

    world.right.script(operation, "nk-k01", fault)
    with pytest.raises(Killed):
        world.reconcile()
    return f"run-{next(world.runs) - 1}"


def _audited(world: World, key: str = "k01") -> list[tuple[str, bool, str | None]]:
    """Return action, success and interrupted run of a record's audit entries."""
    mine = [entry for entry in world.audit() if entry.get("key") == key]
    return [(entry["action"], entry["success"], entry.get("interrupted_run")) for entry in mine]


@pytest.fixture
def synced(world: World) -> World:
    """A world of ten records in agreement, in which nothing stays in flight."""
    world.policies["quiet_seconds"] = 0.0
    world.fill(10)
    world.reconcile()
    return world


def test_given_an_update_that_was_done_when_the_source_moved_on_then_both_updates_are_audited(synced: World) -> None:
    synced.left.put("k01", name="second")
    killed = _kill_at(synced, "write", done=True)
    synced.left.put("k01", name="third")

    synced.reconcile()

    assert _audited(synced)[1:] == [("update", True, killed), ("update", True, None)]
    assert synced.agrees()


def test_given_an_update_that_was_done_when_the_plan_is_only_made_then_it_is_settled_all_the_same(
    synced: World,
) -> None:
    synced.left.put("k01", name="second")
    killed = _kill_at(synced, "write", done=True)

    assert synced.reconcile(plan_only=True).plan.changes == 0

    assert _audited(synced)[1:] == [("update", True, killed)]
    assert synced.state("k01").state is State.SYNCED


def test_given_an_update_that_was_not_done_when_the_source_went_back_then_nothing_is_audited(synced: World) -> None:
    synced.left.put("k01", name="second")
    _kill_at(synced, "write", done=False)
    synced.left.put("k01", name="name of k01")

    assert synced.writes_of(synced.reconcile) == {}

    assert _audited(synced)[1:] == []
    assert _open_effects(synced) == 0


def test_given_an_update_that_was_half_done_when_the_record_is_to_be_retired_then_its_trace_is_audited(
    synced: World,
) -> None:
    synced.left.put("k01", name="second", price="9")
    killed = _kill_at(synced, "write", done=False)
    synced.right.replace("r1", content={**synced.right.rows["r1"].content, "name": "second"})
    synced.left.remove("k01")

    synced.reconcile()

    assert _audited(synced)[1:] == [("update", False, killed), ("retire", True, None)]
    assert _open_effects(synced) == 0


def test_given_a_create_that_was_half_done_when_the_source_is_gone_then_what_it_made_is_retired(world: World) -> None:
    world.policies |= {"quiet_seconds": 0.0, "guard": GuardLimits(enabled=False)}
    world.fill(10)
    killed = _kill_at(world, "create", done=True)
    world.left.remove("k01")

    world.reconcile()

    assert _audited(world) == [("create", True, killed), ("retire", True, None)]
    assert [row.content["state"] for row in world.right.rows.values() if row.natural_key == "nk-k01"] == ["archived"]
    assert world.findings() == set()


def test_given_a_create_that_was_half_done_then_the_record_is_no_drift_and_the_create_is_audited_once(
    world: World,
) -> None:
    world.left.put("k01", name="one", price="2")
    killed = _kill_at(world, "create", done=True)

    plan = world.reconcile().plan

    assert plan.counts["drifted"] == 0
    assert _audited(world) == [("create", True, killed)]
    assert world.sql("SELECT linked_by FROM sync.base") == [("create",)]


def test_given_a_retirement_that_deleted_the_record_then_it_is_audited_and_the_link_forgotten(synced: World) -> None:
    synced.left.remove("k01")
    killed = _kill_at(synced, "retire", done=False)
    synced.right.rows.pop("r1")

    synced.reconcile()

    assert _audited(synced)[1:] == [("retire", True, killed), ("forget", True, None)]
    assert _open_effects(synced) == 0


def test_given_two_records_that_claim_the_created_one_s_key_then_none_is_taken_for_it(world: World) -> None:
    world.left.put("k01", name="one", price="2")
    _kill_at(world, "create", done=True)
    world.right.put("another", "nk-k01", name="one")

    world.reconcile()

    assert world.links() == {}
    assert world.findings() == {("duplicate", "nk-k01")}
    assert world.writes_of(world.reconcile) == {}


def _open_effects(world: World) -> int:
    ((number,),) = world.sql("SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')")
    return int(number)


def test_given_two_creates_with_one_natural_key_then_the_one_record_belongs_to_whoever_still_claims_it(
    world: World,
) -> None:
    world.policies |= {"quiet_seconds": 60.0}
    world.left.put("k01", name="one", price="2")
    _kill_at(world, "create", done=False)
    world.left.remove("k01")
    world.left.put("k02", "nk-k01", name="one", price="2")
    _kill_at(world, "create", done=True)

    world.reconcile()

    assert list(world.links()) == ["k02"]
    assert len(world.right.rows) == 1
