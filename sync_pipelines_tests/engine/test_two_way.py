"""Two systems that both may be edited come to agree, or a conflict says why not."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines.store.conflicts import ConflictUnsettled
from sync_pipelines_tests.engine.two_way_worlds import TwoWayWorld
from sync_pipelines_tests.engine.worlds import lost_reply

LEFT, RIGHT = Side.LEFT, Side.RIGHT


@pytest.fixture
def world(engine: Engine) -> TwoWayWorld:
    """Two systems without records."""
    return TwoWayWorld(engine)


def test_given_records_on_either_side_each_is_created_on_the_other_once(world: TwoWayWorld) -> None:
    world.put(LEFT, "w1", "mug", price="9.90")
    world.put(RIGHT, "o1", "cup", price="4.50")

    world.settle_down()

    assert world.agree()
    assert world.shown(LEFT).keys() == {"mug", "cup"}
    assert (world.shop.sent["create"], world.erp.sent["create"]) == (1, 1)


def test_given_equal_records_on_both_sides_they_are_linked_without_a_single_write(world: TwoWayWorld) -> None:
    world.both("mug", price="9.90")

    world.settle_down()

    assert world.writes == 0
    assert world.conflicts() == []


def test_given_an_edit_on_either_side_it_arrives_on_the_other(world: TwoWayWorld) -> None:
    world.both("mug", price="9.90", color="red")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="8.00")
    world.put(RIGHT, "o-mug", "mug", color="blue")

    world.settle_down()

    assert world.shown(LEFT)["mug"] == world.shown(RIGHT)["mug"]
    assert (world.shown(LEFT)["mug"]["price"], world.shown(LEFT)["mug"]["color"]) == ("8.00", "blue")
    assert world.writes == 2


@pytest.mark.parametrize(("owner", "price"), [(LEFT, "1"), (RIGHT, "2")])
def test_given_two_edits_of_a_field_its_owner_decides(world: TwoWayWorld, owner: Side, price: str) -> None:
    world.rules = {"price": Rule(owner)}
    world.both("mug", price="9")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="1")
    world.put(RIGHT, "o-mug", "mug", price="2")

    world.settle_down()

    assert {world.shown(side)["mug"]["price"] for side in Side} == {price}
    assert world.conflicts() == []


def test_given_two_edits_of_a_field_that_nobody_owns_it_waits_and_the_rest_goes_on(world: TwoWayWorld) -> None:
    world.both("mug", price="9", color="red")
    world.both("cup", price="4")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="1", color="blue")
    world.put(RIGHT, "o-mug", "mug", price="2")
    world.put(LEFT, "w-cup", "cup", price="5")

    world.settle_down()

    assert [world.shown(side)["mug"]["price"] for side in Side] == ["1", "2"]
    assert world.shown(RIGHT)["mug"]["color"] == "blue"
    assert world.shown(RIGHT)["cup"]["price"] == "5"
    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.item) == (Kind.DATA_MISMATCH, "mug")
    assert conflict.data["fields"] == {"price": {"left": "1", "right": "2", "base": "9"}}


@pytest.mark.parametrize(
    ("resolution", "custom", "price"),
    [(Resolution.ACCEPT, None, "1"), (Resolution.REJECT, None, "2"), (Resolution.CUSTOM, {"price": "3"}, "3")],
)
def test_given_a_settled_conflict_it_is_carried_out_on_both_sides_and_does_not_come_back(
    world: TwoWayWorld, resolution: Resolution, custom: dict[str, str] | None, price: str
) -> None:
    contest(world)
    world.settle(world.conflicts()[0], resolution, custom)

    world.settle_down()

    assert [world.shown(side)["mug"]["price"] for side in Side] == [price, price]
    assert world.conflicts() == []
    rows = world.sql("SELECT is_resolved, closed_because FROM sync.sync_conflict")
    assert [tuple(row) for row in rows] == [(True, "settled by ada")]
    world.put(LEFT, "w-mug", "mug", price="7")
    world.settle_down()
    assert world.shown(RIGHT)["mug"]["price"] == "7"


def test_given_another_edit_after_a_settlement_it_is_void_and_the_conflict_shows_the_new_values(
    world: TwoWayWorld,
) -> None:
    contest(world)
    first = world.conflicts()[0]
    world.settle(first, Resolution.ACCEPT)
    world.put(RIGHT, "o-mug", "mug", price="6")

    world.settle_down()

    (conflict,) = world.conflicts()
    assert conflict.id == first.id
    assert (conflict.is_resolved, conflict.fields["price"].right) == (False, "6")
    assert conflict.history[0]["by"] == "ada"


def test_given_a_conflict_that_ends_by_itself_it_is_closed(world: TwoWayWorld) -> None:
    contest(world)
    world.put(RIGHT, "o-mug", "mug", price="1")

    world.settle_down()

    assert world.conflicts() == []
    assert world.sql("SELECT closed_because FROM sync.sync_conflict")[0][0] == "both systems agree"


def test_given_another_organization_it_neither_sees_nor_settles_a_conflict(world: TwoWayWorld) -> None:
    contest(world)
    (conflict,) = world.conflicts()

    assert world.conflicts("org-2") == []
    with pytest.raises(ConflictUnsettled, match="there is no conflict"):
        world.settle(conflict, Resolution.ACCEPT, org="org-2")
    assert world.conflicts()[0].is_resolved is False


@pytest.mark.parametrize(
    ("resolution", "custom", "message"),
    [
        (Resolution.CUSTOM, {}, "no value for price"),
        (Resolution.CUSTOM, {"price": "1", "color": "x"}, "color is not contested"),
        (Resolution.ACCEPT, {"price": "1"}, "custom only"),
    ],
)
def test_given_values_that_do_not_fit_a_conflict_it_is_not_settled(
    world: TwoWayWorld, resolution: Resolution, custom: dict[str, str], message: str
) -> None:
    contest(world)

    with pytest.raises(ConflictUnsettled, match=message):
        world.settle(world.conflicts()[0], resolution, custom)


def test_given_two_records_of_one_name_on_a_side_none_is_touched(world: TwoWayWorld) -> None:
    world.put(LEFT, "w1", "mug", price="1")
    world.put(RIGHT, "o1", "mug", price="1")
    world.put(RIGHT, "o2", "mug", price="2")

    world.settle_down()

    assert world.writes == 0
    (conflict,) = world.conflicts()
    assert conflict.kind is Kind.DUPLICATE_KEY
    assert "2 in erp (o1, o2)" in conflict.data["reason"]
    world.erp.remove("o2")
    world.settle_down()
    assert world.conflicts() == []
    assert len(world.sql("SELECT FROM sync.merged")) == 1


@pytest.mark.parametrize("side", Side)
def test_given_a_record_deleted_on_one_side_it_is_retired_on_the_other(world: TwoWayWorld, side: Side) -> None:
    for number in range(12):
        world.both(f"n{number}", price="1")
    world.run()
    world.side(side).remove(f"{'w' if side is LEFT else 'o'}-n0")

    world.settle_down()

    assert world.shown(side.other)["n0"]["state"] == "archived"
    assert "n0" not in world.shown(side)
    assert world.conflicts() == []


@pytest.mark.parametrize(
    ("resolution", "kept"), [(Resolution.ACCEPT, False), (Resolution.REJECT, True)], ids=["follow", "keep"]
)
def test_given_a_record_deleted_here_and_changed_there_a_person_decides(
    world: TwoWayWorld, resolution: Resolution, kept: bool
) -> None:
    for number in range(12):
        world.both(f"n{number}", price="1")
    world.run()
    world.shop.remove("w-n0")
    world.put(RIGHT, "o-n0", "n0", price="2")
    world.settle_down()
    (conflict,) = world.conflicts()
    assert conflict.kind is Kind.MANUAL_REVIEW
    assert conflict.data["reason"] == "deleted in shop, but price changed in erp since both agreed"
    assert (world.shown(RIGHT)["n0"]["state"], "n0" in world.shown(LEFT)) == ("active", False)

    world.settle(conflict, resolution)
    world.settle_down()

    assert world.conflicts() == []
    if kept:
        assert world.shown(LEFT)["n0"] == world.shown(RIGHT)["n0"]
        assert world.shown(LEFT)["n0"]["price"] == "2"
    else:
        assert "n0" not in world.shown(LEFT)
        assert world.shown(RIGHT)["n0"]["state"] == "archived"


def test_given_a_listing_that_is_not_sealed_nothing_is_taken_for_deleted(world: TwoWayWorld) -> None:
    for number in range(12):
        world.both(f"n{number}", price="1")
    world.run()
    world.shop.rows.clear()

    world.run()

    assert all(row["state"] == "active" for row in world.shown(RIGHT).values())


def test_given_a_system_where_nothing_is_created_its_lack_is_told_and_nothing_written(world: TwoWayWorld) -> None:
    world.options["creates"] = frozenset({RIGHT})
    world.put(RIGHT, "o1", "cup", price="1")

    world.settle_down()

    assert world.shown(LEFT) == {}
    assert world.writes == 0


def test_given_a_record_that_cannot_be_mapped_it_is_a_conflict_and_the_others_go_on(world: TwoWayWorld) -> None:
    world.both("mug", price="1")
    world.both("cup", price="1")
    world.run()
    world.shop.replace("w-mug", invalid="the price is no number")
    world.put(LEFT, "w-cup", "cup", price="2")

    world.settle_down()

    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.data["reason"]) == (Kind.VALIDATION_ERROR, "the price is no number")
    assert world.shown(RIGHT)["cup"]["price"] == "2"
    world.shop.replace("w-mug", invalid=None)
    world.settle_down()
    assert world.conflicts() == []


def test_given_a_lost_reply_to_a_create_there_is_one_record_afterwards(world: TwoWayWorld) -> None:
    world.put(LEFT, "w1", "mug", price="1")
    world.erp.script("create", "mug", lost_reply)

    world.settle_down()

    assert len(world.erp.rows) == 1
    assert world.agree()


def test_given_a_peer_that_cleans_what_it_is_told_nothing_ping_pongs(world: TwoWayWorld) -> None:
    world.erp.cleaned.add("note")
    world.options["policies"] = {side: {"quiet_seconds": 0.0, "lenient_fields": frozenset({"note"})} for side in Side}
    world.both("mug", note="a")
    world.run()
    world.put(LEFT, "w-mug", "mug", note=" b ")

    world.settle_down()

    assert [world.shown(side)["mug"]["note"] for side in Side] == [" b ", "b"]
    world.put(RIGHT, "o-mug", "mug", note="c")
    world.settle_down()
    assert world.shown(LEFT)["mug"]["note"] == "c"


def contest(world: TwoWayWorld) -> None:
    """Let both sides edit one field of a record on which they agreed."""
    world.both("mug", price="9")
    world.run()
    world.put(LEFT, "w-mug", "mug", price="1")
    world.put(RIGHT, "o-mug", "mug", price="2")
    world.run()
