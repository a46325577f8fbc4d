"""Plans that take away too much wait for a person, who lets exactly one of them through, once."""

from __future__ import annotations

import asyncio

import pytest

from sync_pipelines.core.errors import PlanRefused, SnapshotUnsealed
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.reconcile import approve
from sync_pipelines.store import plans
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines_tests.engine.worlds import World


def _ten_linked(world: World) -> None:
    world.fill(10)
    world.reconcile()


def test_given_a_fifth_of_the_records_gone_they_are_retired_unasked(world: World) -> None:
    _ten_linked(world)
    world.left.remove("k01", "k02")

    assert world.writes_of(world.reconcile) == {"retire": 2}


def test_given_more_than_a_fifth_gone_the_plan_is_held_with_its_numbers_and_nothing_is_written(world: World) -> None:
    _ten_linked(world)
    world.left.remove("k01", "k02", "k03")
    world.left.put("k04", name="new")

    result = world.reconcile()

    assert (result.plan.state, result.applied) == ("held", None)
    assert result.plan.held_reasons == (
        "3 of 10 linked records (30.0 %) would be retired or archived; the limit is 20 %",
    )
    assert world.right.writes == 20
    assert world.reconcile().plan.hash == result.plan.hash


def test_given_an_empty_source_the_plan_is_held_whatever_the_limits(world: World) -> None:
    world.policies["guard"] = GuardLimits(ignore_up_to=100)
    _ten_linked(world)
    world.left.rows.clear()

    result = world.reconcile()

    assert result.plan.state == "held"
    assert "the listing is empty, the last one had 10 records" in result.plan.held_reasons[0]
    assert world.reconcile().plan.state == "held"


@pytest.mark.parametrize("side", ["left", "right"])
def test_given_another_account_behind_a_side_any_change_is_held(world: World, side: str) -> None:
    _ten_linked(world)
    getattr(world, side).identity = "somebody else"
    world.left.put("k01", name="new")

    result = world.reconcile()

    assert result.plan.state == "held"
    assert "the scope changed from" in result.plan.held_reasons[0]
    world.approve(result.plan.hash)
    assert world.agrees()
    world.left.put("k01", name="newer")
    assert world.reconcile().plan.state == "applied" or world.agrees()


def test_given_an_empty_target_nothing_is_created_again_unasked(world: World) -> None:
    _ten_linked(world)
    world.right.rows.clear()

    assert world.reconcile().plan.state == "held"
    assert world.right.writes == 20


def test_given_both_sides_empty_all_of_a_sudden_no_link_is_forgotten_unasked(world: World) -> None:
    _ten_linked(world)
    kept = dict(world.left.rows), dict(world.right.rows)
    world.left.rows.clear()
    world.right.rows.clear()

    assert world.reconcile().plan.state == "held"
    assert len(world.links()) == 10
    world.left.rows, world.right.rows = kept
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.parametrize(("strange", "broken"), [("left", "right"), ("right", "left")])
def test_given_a_side_that_is_read_incompletely_the_other_ones_strange_snapshot_is_not_accepted_by_the_way(
    world: World, strange: str, broken: str
) -> None:
    world.policies["guard"] = GuardLimits(ignore_up_to=100)
    _ten_linked(world)
    side = getattr(world, strange)
    kept = dict(side.rows)
    side.rows.clear()
    getattr(world, broken).gaps = ["a page vanished"]
    with pytest.raises(SnapshotUnsealed, match="a page vanished"):
        world.reconcile()
    getattr(world, broken).gaps = []

    assert world.reconcile().plan.state == "held"
    side.rows = kept
    assert world.writes_of(world.reconcile) == {}


def test_given_an_approval_that_plan_goes_through_exactly_once(world: World) -> None:
    _ten_linked(world)
    gone = {key: world.left.rows.pop(key) for key in ("k01", "k02", "k03")}
    held = world.reconcile().plan

    result = world.approve(held.hash[:12])

    assert result.applied is not None
    assert result.applied.actions == {"retire": 3}
    assert result.plan.approved_by == "ada"
    with pytest.raises(PlanRefused, match="was applied already; an approval lets a plan through once"):
        world.approve(held.hash)

    world.left.rows |= gone
    world.reconcile()
    world.left.remove(*gone)
    again = world.reconcile().plan
    assert again.state == "held"
    assert world.right.sent["retire"] == 3


def test_given_an_approval_whose_run_was_killed_the_next_run_carries_the_same_plan_out(world: World) -> None:
    _ten_linked(world)
    world.left.remove("k01", "k02", "k03")
    held = world.reconcile().plan
    world.sql("UPDATE sync.plan SET state = 'approved', approved_by = 'ada' WHERE id = :id", id=held.id)

    assert world.writes_of(world.reconcile) == {"retire": 3}


def test_given_an_approved_plan_whose_records_moved_those_are_left_as_stale(world: World) -> None:
    _ten_linked(world)
    world.left.remove("k01", "k02", "k03")
    held = world.reconcile().plan
    world.right.put(world.links()["k02"], name="still in use")

    result = world.approve(held.hash)

    assert result.applied is not None
    assert result.applied.outcomes == {"applied": 2, "stale": 1}
    assert world.right.rows[world.links()["k02"]].content["state"] == "active"


def test_given_a_plan_that_is_not_held_an_approval_is_refused(world: World) -> None:
    world.fill(2)
    plan = world.reconcile(plan_only=True).plan

    with pytest.raises(PlanRefused, match="it needs no approval"):
        world.approve(plan.hash)
    for nonsense in ("ffffffffffff", "abc", "not a hash", "%"):
        with pytest.raises(PlanRefused):
            world.approve(nonsense)
    assert world.right.writes == 0


def test_given_records_that_came_back_a_held_plan_is_superseded(world: World) -> None:
    _ten_linked(world)
    gone = {key: world.left.rows.pop(key) for key in ("k01", "k02", "k03")}
    held = world.reconcile().plan
    world.left.rows |= gone
    world.reconcile()

    with pytest.raises(PlanRefused, match="superseded"):
        world.approve(held.hash)


def test_given_updates_that_archive_they_count_as_destructive(world: World) -> None:
    world.policies["destructive"] = lambda before, after: after["state"] == "archived"
    _ten_linked(world)
    for key in ("k01", "k02", "k03"):
        world.left.put(key, state="archived")

    result = world.reconcile()

    assert result.plan.state == "held"
    assert result.plan.counts["destructive"] == 3
    assert result.plan.counts["state_changes"] == 3


def test_given_a_guard_that_is_off_nothing_is_held(world: World) -> None:
    world.policies["guard"] = GuardLimits(enabled=False)
    _ten_linked(world)
    world.left.remove(*list(world.left.rows)[:9])

    assert world.writes_of(world.reconcile) == {"retire": 9}


def test_given_a_guard_that_is_off_what_an_empty_source_would_take_away_is_held_all_the_same(world: World) -> None:
    world.policies["guard"] = GuardLimits(enabled=False)
    _ten_linked(world)
    world.left.rows.clear()

    assert world.reconcile().plan.state == "held"
    assert world.right.sent["retire"] == 0


def _removes(change: Change) -> str | None:
    return "would be removed for good" if change.action is Action.RETIRE else None


@pytest.fixture
def removing(world: World) -> World:
    """Ten linked records, two of which would be removed for good, and one that changed."""
    world.policies |= {"guard": GuardLimits(enabled=False), "approval": _removes}
    _ten_linked(world)
    world.left.remove("k01", "k02")
    world.left.put("k03", name="new")
    return world


def _held(world: World) -> list[StoredPlan]:
    with world.engine.begin() as connection:
        return [plan for plan in plans.list_plans(connection, pair="worlds") if plan.state == "held"]


def test_given_changes_that_need_a_person_they_wait_in_a_plan_of_their_own_and_the_others_go_on(
    removing: World,
) -> None:
    world = removing

    assert world.writes_of(world.reconcile) == {"write": 1}

    (waiting,) = _held(world)
    assert waiting.held_reasons == ("2 records would be removed for good: k01, k02",)
    assert waiting.counts["retire"] == waiting.changes == 2
    assert world.state("k01").reason == "waits for an approval: would be removed for good"
    assert world.state("k01").state is State.OUT_OF_SYNC
    assert world.writes_of(world.reconcile) == {}
    assert [plan.hash for plan in _held(world)] == [waiting.hash], "the same plan takes the place of the earlier one"


def test_given_its_approval_a_waiting_plan_goes_through_exactly_once(removing: World) -> None:
    world = removing
    world.reconcile()
    (waiting,) = _held(world)
    world.left.put("k03", name="newer")
    world.reconcile()

    assert world.writes_of(lambda: world.approve(waiting.hash)) == {"retire": 2}

    assert world.reconcile().plan.changes == 0
    assert _held(world) == []
    with pytest.raises(PlanRefused, match="was applied already; an approval lets a plan through once"):
        world.approve(waiting.hash)


def test_given_an_approval_that_nobody_carried_out_the_next_run_takes_the_waiting_changes_over(
    removing: World,
) -> None:
    world = removing
    world.reconcile()
    (waiting,) = _held(world)
    asyncio.run(_approve_only(world, waiting.hash))
    world.left.put("k03", name="newer")

    assert world.writes_of(world.reconcile) == {"retire": 2, "write": 1}

    assert world.reconcile().plan.changes == 0
    assert _held(world) == []


def test_given_more_that_needs_a_person_an_approval_of_less_does_not_let_it_through(removing: World) -> None:
    world = removing
    world.reconcile()
    (waiting,) = _held(world)
    asyncio.run(_approve_only(world, waiting.hash))
    world.left.remove("k04")

    assert world.writes_of(world.reconcile) == {}
    assert [plan.counts["retire"] for plan in _held(world)] == [3]


def test_given_a_source_that_comes_back_nothing_waits_any_more(removing: World) -> None:
    world = removing
    world.reconcile()
    for key in ("k01", "k02"):
        world.left.put(key, name=f"name of {key}", price="1.50", state="active")

    world.reconcile()

    assert _held(world) == []
    assert world.tally() == {State.SYNCED: 10}


def test_given_a_snapshot_that_is_not_sealed_both_plans_wait(removing: World) -> None:
    world = removing
    world.policies["guard"] = GuardLimits()
    world.left.identity = "somebody else"

    assert world.reconcile().plan.state == "held"
    assert world.right.writes == 20
    assert len(_held(world)) == 2


async def _approve_only(world: World, plan_hash: str) -> None:
    async with working_on(world.engine, world.pair, "approval", world.log) as run:
        approve(run, plan_hash, "ada")


def test_given_nothing_that_needs_a_person_the_plan_goes_on(world: World) -> None:
    world.policies["approval"] = _removes
    _ten_linked(world)
    world.left.put("k03", name="new")

    assert world.writes_of(world.reconcile) == {"write": 1}
