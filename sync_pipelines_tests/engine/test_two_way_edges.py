"""Where two-way pairs are easily wrong: half-made records, edited keys, deletions, and choices that meet an edit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.errors import FailureKind, SnapshotUnsealed
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.records import Content
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines.engine.merging import MANY
from sync_pipelines.engine.two_way import synchronize
from sync_pipelines_tests.engine.two_way_worlds import TwoWayWorld
from sync_pipelines_tests.engine.worlds import MemoryTarget, is_archived, lost_reply, refused

LEFT, RIGHT = Side.LEFT, Side.RIGHT


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def world(engine: Engine) -> TwoWayWorld:
    """Two systems without records."""
    return TwoWayWorld(engine)


def twelve(world: TwoWayWorld) -> None:
    """Put records on both sides that agree, enough of them that the guard minds no single deletion."""
    for number in range(12):
        world.both(f"n{number}", price="1")
    world.run()


@pytest.mark.parametrize("owner", [None, RIGHT], ids=["nobody's", "the target's"])
def test_given_a_create_whose_fields_could_not_be_written_its_defaults_are_nobodys_word(
    world: TwoWayWorld, owner: Side | None
) -> None:
    world.rules = {"state": Rule(owner)}
    world.put(LEFT, "w1", "mug", price="1")
    world.erp.script("write", "mug", refused(FailureKind.TRANSIENT))
    world.run()
    assert world.shown(RIGHT)["mug"]["state"] == "draft"

    world.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'")
    world.settle_down()

    assert world.conflicts() == []
    assert world.shown(LEFT)["mug"] == world.shown(RIGHT)["mug"]
    assert world.shown(LEFT)["mug"]["state"] == "active"


def test_given_a_kill_after_a_create_its_defaults_are_nobodys_word(world: TwoWayWorld) -> None:
    def die(target: MemoryTarget, write: object) -> None:
        write()  # type: ignore[operator]  # a write without arguments
        raise Killed

    world.put(LEFT, "w1", "mug", price="1")
    world.erp.script("create", "mug", die)
    with pytest.raises(Killed):
        world.run()

    world.settle_down()

    assert world.conflicts() == []
    assert world.agree()
    assert [row["state"] for row in world.shown(RIGHT).values()] == ["active"]


def test_given_a_created_record_that_no_listing_shows_nobody_has_deleted_it(world: TwoWayWorld) -> None:
    twelve(world)
    world.put(LEFT, "w1", "mug", price="1")
    world.run()
    (key,) = [key for key, row in world.erp.rows.items() if row.natural_key == "mug"]
    world.erp.remove(key)

    world.settle_down()

    assert world.shown(LEFT)["mug"]["state"] == "active"
    assert world.shown(RIGHT)["mug"] == world.shown(LEFT)["mug"]


def test_given_a_record_that_is_back_after_it_was_retired_across_it_is_in_service_again(world: TwoWayWorld) -> None:
    twelve(world)
    row = world.shop.rows["w-n0"]
    world.shop.remove("w-n0")
    world.settle_down()
    assert world.shown(RIGHT)["n0"]["state"] == "archived"

    world.shop.rows["w-n0"] = row
    world.settle_down()

    assert [world.shown(side)["n0"]["state"] for side in Side] == ["active", "active"]
    assert world.conflicts() == []


def test_given_a_retired_record_that_somebody_puts_back_in_service_a_person_decides(world: TwoWayWorld) -> None:
    twelve(world)
    world.shop.remove("w-n0")
    world.settle_down()

    world.put(RIGHT, "o-n0", "n0", state="active")
    world.settle_down()
    (conflict,) = world.conflicts()
    assert conflict.data["reason"] == "deleted in shop, but state changed in erp since both agreed"
    world.settle(conflict, Resolution.REJECT)
    world.settle_down()

    assert world.shown(LEFT)["n0"] == world.shown(RIGHT)["n0"]
    assert world.shown(LEFT)["n0"]["state"] == "active"


def test_given_an_edit_while_a_retirement_waits_for_approval_a_person_decides_about_it(world: TwoWayWorld) -> None:
    world.options["policies"] = {
        side: {"retired": is_archived, "quiet_seconds": 0.0, "guard": GuardLimits(max_count=0)} for side in Side
    }
    twelve(world)
    world.shop.remove("w-n0")
    world.run()
    assert world.shown(RIGHT)["n0"]["state"] == "active", "the guard holds the plan"

    world.put(RIGHT, "o-n0", "n0", price="2")
    world.run()

    assert [one.kind for one in world.conflicts()] == [Kind.MANUAL_REVIEW]
    assert world.shown(RIGHT)["n0"]["price"] == "2"


def test_given_an_edit_after_a_deletion_was_settled_the_choice_is_void(world: TwoWayWorld) -> None:
    twelve(world)
    world.shop.remove("w-n0")
    world.put(RIGHT, "o-n0", "n0", price="2")
    world.run()
    world.settle(world.conflicts()[0], Resolution.ACCEPT)
    world.put(RIGHT, "o-n0", "n0", price="3")

    world.settle_down()

    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.is_resolved) == (Kind.MANUAL_REVIEW, False)
    assert world.shown(RIGHT)["n0"] == {"name": "n0", "state": "active", "price": "3"}


def test_given_a_record_deleted_and_made_anew_under_another_key_it_takes_its_place(world: TwoWayWorld) -> None:
    twelve(world)
    world.shop.remove("w-n0")
    world.put(LEFT, "w-new", "n0", price="1")

    world.settle_down()

    assert world.conflicts() == []
    assert world.writes == 0
    world.put(LEFT, "w-new", "n0", price="2")
    world.settle_down()
    assert world.shown(RIGHT)["n0"]["price"] == "2"


def test_given_records_that_were_deleted_on_both_sides_and_are_back_none_is_retired(world: TwoWayWorld) -> None:
    twelve(world)
    rows = {side: dict(world.side(side).rows) for side in Side}
    world.shop.remove("w-n0")
    world.erp.remove("o-n0")
    world.run(plan_only=True)
    for side in Side:
        world.side(side).rows.update(rows[side])

    world.settle_down()

    assert [world.shown(side)["n0"]["state"] for side in Side] == ["active", "active"]
    assert world.writes == 0


def test_given_a_renamed_record_its_name_arrives_and_its_old_name_is_free(world: TwoWayWorld) -> None:
    world.both("mug", price="1")
    world.run()
    world.put(LEFT, "w-mug", "cup")
    world.put(LEFT, "w2", "mug", price="2")

    world.settle_down()

    assert world.agree()
    assert {name: row["price"] for name, row in world.shown(RIGHT).items()} == {"cup": "1", "mug": "2"}
    assert world.conflicts() == []
    assert len(world.erp.rows) == 2


def test_given_names_that_are_swapped_both_follow(world: TwoWayWorld) -> None:
    world.both("mug", price="1")
    world.both("cup", price="2")
    world.run()
    world.put(LEFT, "w-mug", "cup")
    world.put(LEFT, "w-cup", "mug")

    world.settle_down()

    assert world.agree()
    assert world.shown(RIGHT)["mug"]["price"] == "2"
    assert world.conflicts() == []


def test_given_a_record_that_takes_the_name_of_another_neither_is_written_until_it_is_clear(world: TwoWayWorld) -> None:
    world.both("mug", price="1")
    world.both("cup", price="2")
    world.run()
    world.put(LEFT, "w-cup", "mug")

    world.settle_down()

    assert world.writes == 0
    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.item) == (Kind.DUPLICATE_KEY, "mug")
    world.put(LEFT, "w-cup", "jug")
    world.settle_down()
    assert world.conflicts() == []
    assert world.agree()


def test_given_a_contested_name_the_other_fields_go_on_and_a_settlement_is_carried_out(world: TwoWayWorld) -> None:
    world.both("mug", price="1", color="red")
    world.run()
    world.put(LEFT, "w-mug", "cup", price="2")
    world.put(RIGHT, "o-mug", "jug")
    world.settle_down()
    assert (world.shown(LEFT)["cup"]["price"], world.shown(RIGHT)["jug"]["price"]) == ("2", "2")
    (conflict,) = world.conflicts()

    world.settle(conflict, Resolution.REJECT)
    world.settle_down()

    assert world.conflicts() == []
    assert world.shown(LEFT).keys() == world.shown(RIGHT).keys() == {"jug"}


def test_given_a_conflict_of_a_record_that_is_renamed_it_stays_the_same_one(world: TwoWayWorld) -> None:
    world.both("mug", price="9")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="1")
    world.put(RIGHT, "o-mug", "mug", price="2")
    world.run()
    (first,) = world.conflicts()
    world.put(LEFT, "w-mug", "cup")

    world.settle_down()

    (conflict,) = world.conflicts()
    assert (conflict.id, conflict.item) == (first.id, "cup")
    world.settle(conflict, Resolution.ACCEPT)
    world.settle_down()
    assert world.conflicts() == []
    assert world.shown(RIGHT)["cup"]["price"] == "1"


def test_given_a_settled_record_that_is_set_apart_the_choice_waits_until_it_is_back(world: TwoWayWorld) -> None:
    world.both("mug", price="9")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="1")
    world.put(RIGHT, "o-mug", "mug", price="2")
    world.run()
    world.settle(world.conflicts()[0], Resolution.REJECT)
    world.shop.replace("w-mug", withheld="a draft")
    world.settle_down()
    assert [one.is_resolved for one in world.conflicts()] == [True]

    world.shop.replace("w-mug", withheld=None)
    world.settle_down()

    assert world.conflicts() == []
    assert [world.shown(side)["mug"]["price"] for side in Side] == ["2", "2"]


def test_given_records_that_a_system_keeps_apart_no_plan_counts_a_conflict(world: TwoWayWorld) -> None:
    world.both("mug", price="9")
    world.put(RIGHT, "o-cup", "cup", price="4")
    world.run()
    for key in ("o-mug", "o-cup"):
        world.erp.replace(key, withheld="a draft")
    world.put(LEFT, "w-mug", "mug", price="1")

    last = world.settle_down()

    assert {side: plan.counts["conflicts"] for side, plan in last.plans.items()} == {LEFT: 0, RIGHT: 0}
    assert world.conflicts() == []
    assert world.shown(RIGHT)["mug"]["price"] == "9"


@pytest.mark.parametrize("side", Side)
def test_given_a_system_that_was_read_in_part_nothing_is_written_to_either(world: TwoWayWorld, side: Side) -> None:
    world.both("mug", price="1")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="2")
    world.put(RIGHT, "o1", "cup", price="2")
    world.side(side).gaps = ["a page is missing"]

    with pytest.raises(SnapshotUnsealed):
        world.run()

    assert world.writes == 0


def test_given_a_lost_reply_to_a_write_there_is_no_conflict(world: TwoWayWorld) -> None:
    world.both("mug", price="1")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="2")
    world.erp.script("write", "mug", lost_reply)

    world.settle_down()

    assert world.conflicts() == []
    assert world.agree()


def test_given_many_new_records_in_a_second_scope_the_planner_knows_of_them_at_once(world: TwoWayWorld) -> None:
    """Of a scope it does not know it expects one row, and reads the whole scope for every record."""
    for scope in ("first.things", "second.things"):
        world.scope = scope
        for number in range(MANY):
            world.both(f"n{number}", price="1")
        world.run(writes_to=())

    for table in ("merged", "base"):
        [[known]] = world.sql(
            "SELECT CAST(CAST(most_common_vals AS text) AS integer[]) FROM pg_stats "
            "WHERE schemaname = 'sync' AND tablename = :table AND attname = 'scope_id'",
            table=table,
        )
        scopes = world.sql(f"SELECT DISTINCT scope_id FROM sync.{table}")
        assert {row.scope_id for row in scopes} == set(known)


def test_given_leases_that_are_renewed_while_a_batch_is_merged_then_the_merge_ends(world: TwoWayWorld) -> None:
    """They are, every few seconds; and a serializable transaction cannot lock a row that changed since it began."""
    world.put(LEFT, "w1", "mug", price="1")
    renewed = []

    def name(content: Content) -> str:
        renewed.append(world.sql("UPDATE sync.lease SET expires_at = clock_timestamp() + interval '1 hour'"))
        return str(content.get("name") or "")

    pair = replace(world.pair, natural_key=name)
    asyncio.run(synchronize(world.engine, pair, run_id="one", log=world.log))

    assert any(renewed)
    assert world.agree()
