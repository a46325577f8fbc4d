"""Somebody else moves while a run works: a person at the target, the source, or another run."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import NoResultFound

from sync_pipelines.core.errors import FailureKind, LeaseHeld, LeaseLost, PlanRefused
from sync_pipelines.core.lifecycle import State
from sync_pipelines.engine.apply import apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.journal import journaling
from sync_pipelines.store import leases, plans
from sync_pipelines_tests.engine.worlds import World, after, before, refused


def _planned_then_applied(world: World, between: object, expect: dict[str, int]) -> None:
    """Plan, let something happen, apply; assert what became of the changes."""

    async def steps() -> None:
        async with working_on(world.engine, world.pair, "a run", world.log) as run:
            await extract(run, "left")
            await extract(run, "right")
            plan = compare(run)
            between()  # type: ignore[operator]  # any callable
            applied = await apply(run, plan)
            assert applied.outcomes == expect

    asyncio.run(steps())


def test_given_an_edit_at_the_target_after_the_plan_the_change_is_stale_and_planned_anew(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="from the source")
    linked = world.links()["k01"]

    _planned_then_applied(world, lambda: world.right.put(linked, price="99"), {"stale": 1})

    assert world.right.rows[linked].content["name"] == "name of k01"
    assert world.right.rows[linked].content["price"] == "99"
    world.reconcile()
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_a_record_that_appears_at_the_target_after_the_plan_it_is_adopted_and_not_doubled(world: World) -> None:
    world.left.put("k1", name="one", price="2")

    _planned_then_applied(world, lambda: world.right.put("theirs", "nk-k1", name="one"), {"applied": 1})

    assert world.links() == {"k1": "theirs"}
    assert world.agrees()
    assert world.right.sent == {"write": 1}


def test_given_a_record_lost_after_the_plan_the_update_is_stale_and_it_is_created_anew(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="new")

    _planned_then_applied(world, lambda: world.right.remove(world.links()["k01"]), {"stale": 1})

    world.reconcile()
    assert world.agrees()


def test_given_two_records_that_claim_the_key_after_the_plan_none_is_touched(world: World) -> None:
    world.left.put("k1", name="one")

    def twins() -> None:
        world.right.put("a", "nk-k1", name="a")
        world.right.put("b", "nk-k1", name="b")

    _planned_then_applied(world, twins, {"stale": 1})

    assert world.right.writes == 0


def test_given_the_wanted_value_set_by_hand_after_the_plan_other_edits_are_not_taken_for_agreed(world: World) -> None:
    world.fill(1)
    world.reconcile()
    world.left.put("k01", name="wanted")
    linked = world.links()["k01"]

    _planned_then_applied(world, lambda: world.right.put(linked, name="wanted", price="99"), {"applied": 1})

    assert world.state("k01").state is State.OUT_OF_SYNC
    assert "price changed at the target" in world.state("k01").reason
    world.reconcile()
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.parametrize("moment", [after, before], ids=["before the write", "after the write"])
def test_given_an_edit_of_another_field_around_the_write_it_is_found_and_repaired_by_the_next_run(
    world: World, moment: object
) -> None:
    world.fill(1)
    world.reconcile()
    world.left.put("k01", name="new")
    edit = moment(lambda: world.right.put("r1", price="99"))  # type: ignore[operator]  # one of two functions
    world.right.script("write", "nk-k01", edit)

    world.reconcile()
    assert world.right.rows["r1"].content["price"] == "99"
    world.reconcile()

    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_an_edit_of_the_same_field_right_after_the_write_the_record_fails_and_is_repaired(world: World) -> None:
    world.fill(1)
    world.reconcile()
    world.left.put("k01", name="new")
    world.right.script("write", "nk-k01", before(lambda: world.right.put("r1", name="somebody else's")))

    world.reconcile()
    assert world.state("k01").state is State.RETRYING
    world.let_time_pass()
    world.reconcile()
    assert world.agrees()


def test_given_a_target_record_handed_to_somebody_else_after_the_plan_it_is_not_written(world: World) -> None:
    world.fill(1)
    world.reconcile()
    world.left.put("k01", name="new")

    def hand_over() -> None:
        world.right.rows["r1"] = replace(world.right.rows["r1"], withheld="belongs to another customer")

    _planned_then_applied(world, hand_over, {"stale": 1})
    assert world.right.rows["r1"].content["name"] == "name of k01"


@pytest.mark.parametrize(
    "move",
    [
        "UPDATE sync.record SET fingerprint = '\\x00' WHERE key = 'k1'",
        "UPDATE sync.record SET fingerprint = '\\x00' WHERE key = 'theirs'",
        "UPDATE sync.record SET withheld = 'a draft' WHERE key = 'k1'",
        "DELETE FROM sync.record WHERE key = 'theirs'",
        "INSERT INTO sync.base SELECT scope_id, 'k9', 'theirs', 'nk-k9', '', '', '{}', '{}', 'map' "
        "FROM sync.record WHERE key = 'k1'",
    ],
    ids=["left moved", "right moved", "left withheld", "right gone", "linked with another"],
)
def test_given_an_adoption_whose_records_moved_since_the_plan_it_is_stale(world: World, move: str) -> None:
    world.left.put("k1", name="one")
    world.right.put("theirs", "nk-k1", name="one")

    _planned_then_applied(world, lambda: world.sql(move), {"stale": 1})

    assert "k1" not in world.links()


def test_given_a_forgotten_link_whose_source_came_back_since_the_plan_the_link_stays(world: World) -> None:
    world.fill(10)
    world.reconcile()
    world.right.remove("r1")
    gone = world.left.rows.pop("k01")

    def come_back() -> None:
        world.left.rows["k01"] = gone
        world.sql(
            "INSERT INTO sync.record (scope_id, side, key, natural_key, fingerprint, detail, content, snapshot_id) "
            "SELECT scope_id, 'left', 'k01', 'nk-k01', '\\x00', '', '{}', 1 FROM sync.record LIMIT 1"
        )

    _planned_then_applied(world, come_back, {"stale": 1})

    assert "k01" in world.links()
    world.reconcile()
    assert world.agrees()


def test_given_newer_observations_an_older_open_plan_is_refused(world: World) -> None:
    world.fill(2)
    older = world.reconcile(plan_only=True).plan
    world.left.put("k01", name="new")
    world.reconcile(plan_only=True)

    async def late() -> None:
        async with working_on(world.engine, world.pair, "late", world.log) as run:
            await apply(run, older)

    with pytest.raises(PlanRefused, match="superseded by newer observations"):
        asyncio.run(late())
    assert world.right.writes == 0


def test_given_a_run_at_work_a_second_one_is_refused_with_a_clear_message_and_changes_nothing(world: World) -> None:
    world.fill(2)

    async def both() -> None:
        async with working_on(world.engine, world.pair, "the first run", world.log):
            with pytest.raises(LeaseHeld, match=r"worlds/one is being worked on by the first run since .* UTC"):
                await world.reconciling()

    asyncio.run(both())
    assert world.right.writes == 0
    assert world.sql("SELECT count(*) FROM sync.plan") == [(0,)]
    world.reconcile()
    assert world.agrees()


def _take_over(world: World) -> None:
    world.sql("UPDATE sync.lease SET expires_at = now() - interval '1 second'")
    with world.engine.begin() as connection:
        leases.take(connection, "worlds/one", "the next run", 60)


def test_given_a_lease_that_was_taken_over_the_old_run_writes_nothing_more(world: World) -> None:
    world.policies["in_flight"] = 1
    world.fill(6)
    world.right.script("create", "nk-k03", after(lambda: _take_over(world)))

    with pytest.raises(LeaseLost, match="run-0 lost its lease on worlds/one"):
        world.reconcile()

    assert world.right.sent["create"] == 3
    assert set(world.links()) == {"k01", "k02"}
    world.sql("UPDATE sync.lease SET expires_at = now()")
    world.reconcile()
    assert len(world.right.rows) == 6
    assert world.agrees()


def test_given_many_records_in_flight_when_the_lease_is_lost_the_error_is_plain(world: World) -> None:
    world.policies["in_flight"] = 4
    world.fill(30)
    for key in world.left.rows:
        world.right.script("create", f"nk-{key}", after(lambda: _take_over(world)) if key == "k05" else _slowly)

    with pytest.raises(LeaseLost):
        world.reconcile()

    assert len(world.right.rows) < 12


def _slowly(target: object, write: object) -> None:
    write()  # type: ignore[operator]  # a write without arguments


def test_given_a_lease_that_cannot_be_renewed_a_waiting_run_is_stopped(world: World) -> None:
    async def stuck() -> None:
        async with working_on(world.engine, world.pair, "stuck", world.log, lease_seconds=0.3):
            _take_over(world)
            await asyncio.sleep(30)

    with pytest.raises(LeaseLost):
        asyncio.run(stuck())


def test_given_a_lost_lease_a_late_snapshot_does_not_overwrite_newer_observations(world: World) -> None:
    world.fill(3)
    world.reconcile()

    async def late() -> None:
        async with working_on(world.engine, world.pair, "late", world.log) as run:
            _take_over(world)
            world.left.put("k01", name="stale")
            await extract(run, "left")

    with pytest.raises(LeaseLost):
        asyncio.run(late())
    assert world.sql("SELECT content->>'name' FROM sync.record WHERE key = 'k01'") == [("name of k01",)]


def test_given_a_run_that_ends_its_lease_is_free_at_once(world: World) -> None:
    async def failing() -> None:
        async with working_on(world.engine, world.pair, "failing", world.log):
            raise ValueError("anything")

    with pytest.raises(ValueError, match="anything"):
        asyncio.run(failing())
    world.fill(1)
    world.reconcile()
    assert world.agrees()


def test_given_a_cancelled_run_the_write_in_flight_is_settled_by_the_next_one(world: World) -> None:
    world.fill(3)
    world.policies["quiet_seconds"] = 0.0

    async def cancelled() -> None:
        created = asyncio.Event()
        world.right.script("create", "nk-k01", before(created.set))
        task = asyncio.create_task(world.reconciling())
        await created.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    world.reconcile()
    assert world.agrees()
    assert len(world.right.rows) == 3


def test_given_a_failing_record_beside_others_in_one_commit_the_others_are_recorded(world: World) -> None:
    world.policies["in_flight"] = 8
    world.fill(8)
    world.right.script("create", "nk-k04", refused(FailureKind.PERMANENT, 400))

    world.reconcile()

    assert world.tally() == {State.SYNCED: 7, State.DEAD_LETTERED: 1}


def test_given_a_step_that_fails_in_the_journal_its_error_reaches_the_caller_and_nobody_hangs(world: World) -> None:
    def fine(connection: Connection) -> int:
        return 1

    def failing(connection: Connection) -> object:
        return plans.read_plan(connection, 12345)

    async def steps() -> None:
        async with (
            working_on(world.engine, world.pair, "a run", world.log) as run,
            journaling(run.engine, run.lease) as journal,
        ):
            writes = (journal.write(fine), journal.write(failing), journal.write(fine))
            one, error, two = await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), timeout=10)
        assert (one, two) == (1, 1)
        assert isinstance(error, NoResultFound)

    asyncio.run(steps())
