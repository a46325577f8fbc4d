"""A record that turns up at the source under another key is the same record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.engine.worlds import World, before, lost_reply, refused, rolled_back


@pytest.fixture
def renaming(world: World) -> World:
    """A world of ten linked records whose keys may change."""
    world.policies["renames"] = True
    world.fill(10)
    world.reconcile()
    return world


@pytest.mark.parametrize("keys", [None, ["nk-k04"]])
def test_given_another_key_the_link_follows_and_only_what_differs_is_written(
    renaming: World, keys: list[str] | None
) -> None:
    world, right_key = renaming, renaming.links()["k04"]
    content = dict(world.left.rows.pop("k04").content)
    world.left.put("k04-large", "nk-k04", **content | {"price": "9.50"})

    assert world.writes_of(lambda: world.reconcile(keys=keys)) == {"write": 1}

    assert world.links()["k04-large"] == right_key
    assert "k04" not in world.links()
    assert world.right.rows[right_key].content["state"] == "active"
    assert world.writes_of(world.reconcile) == {}
    assert world.tally() == {State.SYNCED: 10}


def test_given_another_key_for_a_retired_record_it_is_revived(renaming: World) -> None:
    world = renaming
    content = dict(world.left.rows.pop("k04").content)
    world.reconcile()
    world.left.put("k04-large", "nk-k04", **content)

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.agrees()


def test_given_two_records_that_claim_the_natural_key_nothing_is_retired_and_both_are_reported(
    renaming: World,
) -> None:
    world, right_key = renaming, renaming.links()["k04"]
    content = dict(world.left.rows.pop("k04").content)
    for key in ("k04-large", "k04-small"):
        world.left.put(key, "nk-k04", **content)

    assert world.writes_of(world.reconcile) == {}
    assert world.links()["k04"] == right_key
    assert world.findings() == {("duplicate", "nk-k04")}


def test_given_an_incomplete_listing_no_link_follows(renaming: World) -> None:
    world = renaming
    content = dict(world.left.rows.pop("k04").content)
    world.left.put("k04-large", "nk-k04", **content)
    world.left.gaps = ["a page vanished"]

    world.reconcile(plan_only=True)

    assert "k04" in world.links()


def _rename(world: World, key: str, new: str) -> None:
    content = dict(world.left.rows.pop(key).content)
    world.left.put(new, f"nk-{key}", **content)


def _created_anew(world: World) -> None:
    world.left.put("k11", name="name of k11", price="1.50", state="active")


def _lost_by_the_target(world: World) -> None:
    _created_anew(world)
    world.reconcile()
    world.right.remove(world.links()["k11"])


@pytest.mark.parametrize("start", [_created_anew, _lost_by_the_target])
@pytest.mark.parametrize("keys", [None, ["nk-k11"]])
def test_given_another_key_while_a_create_is_in_doubt_nothing_is_created_beside_it(
    renaming: World, start: Callable[[World], None], keys: list[str] | None
) -> None:
    world = renaming
    start(world)
    world.right.script("create", "nk-k11", rolled_back)
    world.reconcile()
    _rename(world, "k11", "k11-large")
    world.sql("UPDATE sync.record_state SET next_retry_at = now() - interval '1 second' WHERE state = 'retrying'")

    assert world.writes_of(lambda: world.reconcile(keys=keys)) == {}
    assert world.state("k11-large").failures == 1

    world.let_time_pass()
    assert world.writes_of(lambda: world.reconcile(keys=keys)) == {"create": 1, "write": 1}
    assert world.agrees()
    assert world.tally() == {State.SYNCED: 11}
    assert world.sql("SELECT DISTINCT state FROM sync.effect WHERE key LIKE 'k11%' ORDER BY 1") in (
        [("resolved",), ("settled",)],
        [("settled",)],
    )


def test_given_another_key_after_a_create_whose_reply_was_lost_what_it_made_is_found_and_audited_once(
    renaming: World,
) -> None:
    world = renaming
    _created_anew(world)
    world.right.script("create", "nk-k11", lost_reply)
    world.right.script("find", "nk-k11", before(lambda: None), *[refused(FailureKind.TRANSIENT)] * 5)
    world.reconcile()
    world.right.scripts.clear()
    _rename(world, "k11", "k11-large")
    world.let_time_pass()

    assert world.writes_of(world.reconcile) == {"write": 1}

    assert world.agrees()
    assert "k11" not in world.links()
    made = [entry for entry in world.audit() if entry["action"] == "create" and entry["success"]]
    assert [entry["key"] for entry in made][10:] == ["k11-large"]
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.parametrize("linked", [True, False])
def test_given_another_key_for_a_dead_letter_it_stays_one_until_it_is_reprocessed(
    renaming: World, linked: bool
) -> None:
    world = renaming
    key = "k04" if linked else "k11"
    world.left.put(key, name="refused", price="1.50", state="active")
    world.right.script("write" if linked else "create", f"nk-{key}", refused(FailureKind.PERMANENT))
    world.reconcile()
    assert [letter.key for letter in world.letters()] == [key]
    _rename(world, key, f"{key}-large")

    assert world.writes_of(world.reconcile) == {}

    assert [letter.key for letter in world.letters()] == [f"{key}-large"]
    assert (world.state(f"{key}-large").state, world.state(f"{key}-large").failures) == (State.DEAD_LETTERED, 1)
    assert world.reprocess(f"{key}-large") == [f"{key}-large"]
    world.reconcile()
    assert world.agrees()
    assert world.letters() == []


def test_given_another_key_that_was_seen_while_a_listing_was_incomplete_the_state_follows_later(
    renaming: World,
) -> None:
    world = renaming
    world.left.put("k04", name="refused")
    world.right.script("write", "nk-k04", refused(FailureKind.PERMANENT))
    world.reconcile()
    _rename(world, "k04", "k04-large")
    world.left.gaps = ["a page vanished"]
    world.reconcile(plan_only=True)
    world.left.gaps = []

    world.reconcile()

    assert world.state("k04-large").state is State.DEAD_LETTERED
    assert world.tally() == {State.SYNCED: 9, State.DEAD_LETTERED: 1}


def test_given_another_key_that_has_failures_of_its_own_they_stay(renaming: World) -> None:
    world = renaming
    world.left.put("k04", name="refused")
    world.right.script("write", "nk-k04", refused(FailureKind.PERMANENT))
    world.reconcile()
    _rename(world, "k04", "k04-large")
    world.sql(
        "INSERT INTO sync.record_state (scope_id, key, state, reason, failures, last_attempt_at) "
        "VALUES (:id, 'k04-large', 'failed', 'its own', 3, now())",
        id=world.scope.id,
    )

    assert world.writes_of(world.reconcile) == {"write": 1}

    assert world.agrees()
    assert [letter.key for letter in world.letters()] == ["k04"]
