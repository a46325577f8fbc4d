"""After the last edit both sides agree, with the fewest writes, and stay at rest."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.engine.worlds import World


def test_given_an_empty_target_everything_is_created_once_and_the_next_runs_write_nothing(world: World) -> None:
    world.fill(20)

    assert world.writes_of(world.reconcile) == {"create": 20, "write": 20}

    assert world.agrees()
    assert world.tally() == {State.SYNCED: 20}
    assert world.writes_of(world.reconcile) == {}
    assert world.reconcile().plan.counts["create"] == 0


def test_given_nothing_on_either_side_a_run_does_nothing(world: World) -> None:
    result = world.reconcile()

    assert result.applied is not None
    assert result.applied.outcomes == {}
    assert world.right.writes == 0


def test_given_an_edit_at_the_source_only_that_field_of_that_record_is_written(world: World) -> None:
    world.fill(5)
    world.reconcile()
    world.left.put("k02", name="a new name")
    by_hand = world.links()["k02"]
    world.right.rows[by_hand].content["extra"] = "of no concern"  # type: ignore[index]  # a stand-in's own field

    result = world.reconcile()

    assert result.plan.counts["update"] == 1
    assert result.plan.counts["per_field"] == {"name": 1}
    assert world.right.sent == {"create": 5, "write": 6}
    assert world.right.rows[by_hand].content["extra"] == "of no concern"
    assert world.agrees()


def test_given_existing_target_records_with_equal_content_they_are_adopted_without_a_single_write(world: World) -> None:
    for key in world.fill(12):
        row = world.left.rows[key]
        world.right.put(f"old-{key}", row.natural_key, **row.content, owner="somebody")

    result = world.reconcile()

    assert world.right.writes == 0
    assert result.applied is not None
    assert (result.applied.adopted, result.applied.actions) == (12, {"adopt": 12})
    assert world.links() == {key: f"old-{key}" for key in world.left.rows}
    assert world.tally() == {State.SYNCED: 12}


def test_given_an_existing_target_record_that_differs_it_is_adopted_and_only_the_difference_written(
    world: World,
) -> None:
    world.left.put("k1", name="right", price="2", state="active")
    world.right.put("old", "nk-k1", name="wrong", price="2", state="active")

    result = world.reconcile()

    assert world.right.sent == {"write": 1}
    assert result.plan.counts["per_field"] == {"name": 1}
    assert world.links() == {"k1": "old"}
    assert world.agrees()


@pytest.mark.parametrize("edits", [{"name": "edited by hand"}, {"name": "edited by hand", "price": "9"}])
def test_given_drift_at_the_target_it_is_repaired_and_counted(world: World, edits: dict[str, str]) -> None:
    world.fill(4)
    world.reconcile()
    world.right.put(world.links()["k03"], **edits)

    result = world.reconcile()

    assert result.plan.counts["drifted"] == 1
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_a_target_that_cleans_a_field_what_it_shows_counts_and_nothing_loops(world: World) -> None:
    world.policies["lenient_fields"] = frozenset({"description"})
    world.right.cleaned = {"description"}
    world.left.put("k1", name="one", description="  padded  ")

    world.reconcile()

    assert world.right.rows["r1"].content["description"] == "padded"
    assert world.state("k1").state is State.SYNCED
    assert [world.writes_of(world.reconcile) for _ in range(2)] == [{}, {}]

    world.right.put("r1", description="edited by hand")
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.right.rows["r1"].content["description"] == "padded"
    world.left.put("k1", description="  new  ")
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert [world.writes_of(world.reconcile) for _ in range(2)] == [{}, {}]


def test_given_a_lenient_field_that_the_target_never_shows_nothing_loops(world: World) -> None:
    world.policies["lenient_fields"] = frozenset({"note"})
    world.left.put("k1", name="one", note="kept to itself")
    store = world.right._stored

    def hide(name: str, value: object) -> object:
        return None if name == "note" else store(name, value)

    world.right._stored = hide  # type: ignore[method-assign]  # a target of its own kind
    world.reconcile()

    assert [world.writes_of(world.reconcile) for _ in range(2)] == [{}, {}]
    assert world.state("k1").state is State.SYNCED


def test_given_numbers_that_only_a_decimal_holds_they_arrive_exactly_and_do_not_drift(world: World) -> None:
    price = Decimal("123456789012345678.0123456789")
    world.left.put("k1", name="one", price=price, units=2**53 + 1, ratio=0.1)

    world.reconcile()

    assert world.right.rows["r1"].content["price"] == price
    assert world.right.rows["r1"].content["units"] == 2**53 + 1
    assert world.writes_of(world.reconcile) == {}
    world.right.put("r1", units=2**53)
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.right.rows["r1"].content["units"] == 2**53 + 1


def test_given_true_where_one_is_wanted_the_values_differ(world: World) -> None:
    world.left.put("k1", name="one", flag=True)
    world.reconcile()
    world.right.put("r1", flag=1)

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.right.rows["r1"].content["flag"] is True


def test_given_the_same_edit_on_both_sides_nothing_is_written(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="agreed by telephone")
    world.right.put(world.links()["k01"], name="agreed by telephone")

    assert world.writes_of(world.reconcile) == {}
    assert world.state("k01").state is State.SYNCED
    world.right.put(world.links()["k01"], name="moved again")
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.agrees()


def test_given_a_hand_made_map_its_records_are_linked_although_they_claim_nothing(world: World) -> None:
    world.left.put("k1", name="one", state="active")
    world.left.put("k2", name="two", state="active")
    world.right.put("legacy", name="one", state="active")
    world.right.replace("legacy", natural_key="")
    world.policies["known_links"] = {"k1": "legacy", "k2": "not there", "k9": "legacy"}

    assert world.writes_of(world.reconcile) == {"create": 1, "write": 1}
    assert world.links() == {"k1": "legacy", "k2": "r1"}
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_force_fields_are_compared_whatever_was_agreed(world: World) -> None:
    world.policies["lenient_fields"] = frozenset({"description"})
    world.right.cleaned = {"description"}
    world.left.put("k1", name="one", description=" padded ")
    world.reconcile()

    assert world.writes_of(world.reconcile) == {}
    assert world.writes_of(lambda: world.reconcile(force=True)) == {"write": 1}


def test_given_plan_mode_the_plan_is_kept_and_nothing_is_changed(world: World) -> None:
    world.fill(3)

    result = world.reconcile(plan_only=True)

    assert result.applied is None
    assert result.plan.counts["create"] == 3
    assert world.right.writes == 0
    assert world.links() == {}
    assert world.reconcile(plan_only=True).plan.hash == result.plan.hash


def test_given_selective_keys_only_these_are_read_and_written(world: World) -> None:
    world.fill(6)

    world.reconcile(keys=["nk-k02", "nk-k05", "nk-of nobody"])

    assert set(world.links()) == {"k02", "k05"}
    assert (world.left.reads, world.right.reads) == (0, 0)
    world.reconcile()
    assert len(world.right.rows) == 6
    assert world.agrees()
