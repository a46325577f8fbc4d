"""Records that are kept out of the plan, each with a visible reason."""

from __future__ import annotations

import pytest

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.engine.worlds import World, after


def test_given_a_withheld_record_nothing_is_created_changed_or_retired_for_it(world: World) -> None:
    world.fill(3)
    world.left.replace("k01", withheld="still a draft")
    world.reconcile()
    assert "k01" not in world.links()
    assert world.state("k01").reason == "still a draft"

    world.left.put("k02", name="new")
    world.left.replace("k02", withheld="under review")
    assert world.writes_of(world.reconcile) == {}
    assert world.reconcile().plan.counts["withheld"] == 2

    world.left.replace("k01", withheld=None)
    world.left.replace("k02", withheld=None)
    world.reconcile()
    assert world.agrees()


def test_given_a_record_that_needs_no_counterpart_it_is_not_created(world: World) -> None:
    world.policies["not_creatable"] = lambda content: "archived" if content["state"] == "archived" else None
    world.left.put("k1", name="one", state="archived")

    assert world.writes_of(world.reconcile) == {}
    assert world.state("k1").reason == "archived"


def test_given_an_invalid_record_it_is_dead_lettered_at_once_and_mended_only_by_reprocessing(world: World) -> None:
    world.fill(3)
    world.left.replace("k02", invalid="price is not a number")
    world.reconcile()
    world.reconcile()

    (letter,) = world.letters()
    assert (letter.key, letter.action, letter.last_error, letter.attempts) == ("k02", "map", "price is not a number", 1)
    assert world.tally() == {State.SYNCED: 2, State.DEAD_LETTERED: 1}

    world.left.replace("k02", invalid="category is unknown")
    world.reconcile()
    assert [letter.last_error for letter in world.letters()] == ["category is unknown"]

    world.left.replace("k02", invalid=None)
    assert world.writes_of(world.reconcile) == {}
    world.reprocess("k02")
    world.reconcile()
    assert world.agrees()
    assert [letter.state for letter in world.letters(open_only=False)] == ["reprocessed", "reprocessed"]


def test_given_an_invalid_record_that_is_reprocessed_unmended_it_is_dead_lettered_again(world: World) -> None:
    world.left.put("k1", name="one")
    world.left.replace("k1", invalid="price is not a number")
    world.reconcile()
    world.reprocess("k1")
    assert world.state("k1").state is State.PENDING

    world.reconcile()

    assert world.state("k1").state is State.DEAD_LETTERED
    assert len(world.letters(open_only=False)) == 2


def _publishing_needs_a_person(before: object, after: object, fields: list[str]) -> dict[str, str]:
    return {"state": "awaiting activation"} if "state" in fields else {}


def test_given_a_blocked_field_the_rest_is_written_and_the_record_waits_without_a_loop_of_writes(world: World) -> None:
    world.policies["blocked"] = _publishing_needs_a_person
    world.left.put("k1", name="one", price="2", state="active")

    world.reconcile()

    assert world.right.rows["r1"].content == {"name": "one", "price": "2", "state": "draft"}
    assert world.state("k1").reason == "awaiting activation"
    assert world.state("k1").state is not State.SYNCED
    assert [world.writes_of(world.reconcile) for _ in range(2)] == [{}, {}]
    assert world.reconcile().plan.counts["blocked"] == 1

    world.left.put("k1", price="3")
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.right.rows["r1"].content["price"] == "3"
    assert world.state("k1").reason == "awaiting activation"


@pytest.mark.parametrize("how", ["by a person", "by new credentials"])
def test_given_a_blocked_field_that_comes_through_the_record_is_synced(world: World, how: str) -> None:
    world.policies["blocked"] = _publishing_needs_a_person
    world.left.put("k1", name="one", state="active")
    world.reconcile()
    if how == "by a person":
        world.right.put("r1", state="active")
    else:
        del world.policies["blocked"]

    world.reconcile()

    assert world.agrees()
    assert world.state("k1").state is State.SYNCED
    assert world.writes_of(world.reconcile) == {}


def test_given_an_existing_record_with_a_blocked_field_only_it_is_linked_and_waits(world: World) -> None:
    world.policies["blocked"] = _publishing_needs_a_person
    world.left.put("k1", name="one", state="active")
    world.right.put("old", "nk-k1", name="one", state="draft")

    assert world.writes_of(world.reconcile) == {}
    assert world.links() == {"k1": "old"}
    assert world.state("k1").reason == "awaiting activation"
    assert world.reconcile().plan.counts["blocked"] == 1


def test_given_two_target_records_with_one_natural_key_it_is_a_conflict_and_both_stay_as_they_are(world: World) -> None:
    world.left.put("k1", name="one")
    world.right.put("a", "nk-k1", name="first")
    world.right.put("b", "nk-k1", name="second")

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("duplicate", "nk-k1")}
    assert world.links() == {}
    assert "2 records at the target claim" in world.state("k1").reason

    world.right.remove("b")
    world.reconcile()
    assert world.findings() == set()
    assert world.agrees()


def test_given_a_twin_of_a_linked_record_it_is_a_conflict_and_the_linked_one_stays_in_sync(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.right.put("twin", "nk-k01", name="copied by hand")
    world.left.put("k01", name="new")

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.findings() == {("duplicate", "nk-k01")}
    assert world.right.rows["twin"].content == {"name": "copied by hand"}
    assert world.agrees()


def test_given_two_source_records_with_one_natural_key_neither_is_touched(world: World) -> None:
    world.left.put("k1", "shared", name="one")
    world.left.put("k2", "shared", name="two")

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("duplicate", "shared")}


def test_given_a_second_source_record_that_claims_a_linked_natural_key_the_linked_record_is_not_overwritten(
    world: World,
) -> None:
    world.left.put("k1", "shared", name="one")
    world.reconcile()
    world.left.put("k2", "shared", name="two")

    assert world.writes_of(world.reconcile) == {}
    assert world.right.rows["r1"].content["name"] == "one"
    assert world.findings() == {("duplicate", "shared")}


def test_given_a_linked_record_that_took_another_ones_natural_key_it_is_not_overwritten(world: World) -> None:
    """The claim is younger than the plan: only the look before the write finds out."""
    world.left.put("k1", name="one")
    world.reconcile()
    world.right.script("find", "nk-k2", after(lambda: world.right.replace("r1", natural_key="nk-k2")))
    world.left.put("k2", name="two")

    result = world.reconcile()

    assert result.applied is not None
    assert result.applied.outcomes == {"stale": 1}
    assert world.right.rows["r1"].content["name"] == "one"
    assert world.right.writes == 1


@pytest.mark.parametrize("flaw", ["withheld", "invalid"])
def test_given_a_target_record_of_somebody_else_it_is_neither_adopted_nor_doubled(world: World, flaw: str) -> None:
    world.left.put("k1", name="one")
    world.right.put("theirs", "nk-k1", name="not ours")
    world.right.replace("theirs", **{flaw: "belongs to another customer"})

    assert world.writes_of(world.reconcile) == {}
    assert {key for _, key in world.findings()} == {"theirs"}
    assert world.right.rows["theirs"].content == {"name": "not ours"}


def test_given_a_linked_target_record_that_cannot_be_read_any_more_the_record_is_not_called_synced(
    world: World,
) -> None:
    world.policies["guard"] = GuardLimits(enabled=False)
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="new")
    world.reconcile(plan_only=True)
    world.right.replace(world.links()["k01"], invalid="a field is missing")

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("unreadable", world.links()["k01"])}
    assert world.state("k01").state is State.OUT_OF_SYNC
    assert world.state("k01").reason == "a field is missing"
