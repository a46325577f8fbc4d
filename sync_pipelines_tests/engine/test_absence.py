"""What is gone, was never there, or only seems to be gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from sync_pipelines.core.errors import SnapshotUnsealed
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines_tests.engine.worlds import World


def test_given_records_at_the_target_only_they_are_reported_as_orphans_and_never_touched(world: World) -> None:
    world.fill(3)
    world.right.put("stranger", "nk-stranger", name="made by hand")

    world.reconcile()
    world.reconcile()

    assert world.findings() == {("orphan", "stranger")}
    assert world.right.rows["stranger"].content == {"name": "made by hand"}
    world.right.remove("stranger")
    world.reconcile()
    assert world.findings() == set()


def test_given_a_record_gone_at_the_source_it_is_retired_once_and_its_return_revives_it(world: World) -> None:
    world.fill(10)
    world.reconcile()
    gone = world.left.rows.pop("k04")

    assert world.writes_of(world.reconcile) == {"retire": 1}
    assert world.right.rows[world.links()["k04"]].content["state"] == "archived"
    assert "gone at the source" in world.state("k04").reason
    assert world.writes_of(world.reconcile) == {}

    world.left.rows["k04"] = gone
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.agrees()
    assert len(world.right.rows) == 10
    assert world.writes_of(world.reconcile) == {}


def test_given_a_policy_that_retires_nothing_the_record_is_reported_as_an_orphan(world: World) -> None:
    world.policies["retires"] = False
    world.fill(10)
    world.reconcile()
    gone = world.left.rows.pop("k04")

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("orphan", world.links()["k04"])}
    world.left.rows["k04"] = gone
    world.reconcile()
    assert world.findings() == set()


def test_given_a_record_gone_on_both_sides_its_link_is_forgotten(world: World) -> None:
    world.fill(10)
    world.reconcile()
    world.right.remove(world.links()["k04"])
    world.left.remove("k04")

    assert world.writes_of(world.reconcile) == {}
    assert "k04" not in world.links()
    assert world.state("k04").state is State.SYNCED


def test_given_a_record_lost_at_the_target_it_is_created_again_and_counted_as_drift(world: World) -> None:
    world.fill(10)
    world.reconcile()
    world.right.remove(world.links()["k04"])

    result = world.reconcile()

    assert result.plan.counts["drifted"] == 1
    assert world.links()["k04"] == "r11"
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_an_edited_identity_that_its_listing_still_shows_the_link_holds(world: World) -> None:
    world.fill(3)
    world.reconcile()
    linked = world.links()["k02"]
    world.right.replace(linked, natural_key="somebody else's id")

    assert world.writes_of(world.reconcile) == {}
    world.left.put("k02", name="new")
    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.right.rows[linked].content["name"] == "new"


def test_given_an_edited_identity_that_hides_a_record_it_is_not_created_again(world: World) -> None:
    """Given by key it is there, so nothing is lost; writing cannot help, so a person must."""
    world.fill(3)
    world.reconcile()
    linked = world.links()["k02"]
    hidden = replace(world.right.rows[linked], natural_key="edited")
    swept = world.right.sweep

    async def sweep_without_it(sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        async for page in swept(sweep):
            yield [row for row in page if row.key != linked]
        sweep.declared = None

    world.right.sweep = sweep_without_it  # type: ignore[method-assign]  # a script of this test
    world.right.rows[linked] = hidden

    assert world.writes_of(world.reconcile) == {}
    assert len(world.right.rows) == 3
    (letter,) = world.letters()
    assert letter.key == "k02"
    assert "restore 'nk-k02' at the target" in letter.last_error
    assert world.reconcile().plan.counts["create"] == 0

    world.right.rows[linked] = replace(hidden, natural_key="nk-k02")
    world.right.sweep = swept  # type: ignore[method-assign]  # a script of this test
    world.reconcile()
    assert world.letters() == []
    assert world.state("k02").state is State.SYNCED


@pytest.mark.parametrize("side", ["left", "right"])
def test_given_a_side_that_was_read_incompletely_nothing_is_applied_and_nothing_taken_for_gone(
    world: World, side: str
) -> None:
    world.fill(10)
    world.reconcile()
    broken = getattr(world, side)
    kept = dict(broken.rows)
    broken.rows = dict(list(kept.items())[:8])
    broken.declares = 10
    world.left.put("k01", name="new")

    with pytest.raises(SnapshotUnsealed, match="declares 10 rows, 8 were read"):
        world.reconcile()

    assert world.right.writes == 20
    assert world.sql("SELECT count(*) FROM sync.record") == [(20,)]
    assert world.findings() == set()
    broken.rows, broken.declares = kept | broken.rows, None
    world.reconcile()
    assert world.agrees()
    assert world.right.writes == 21


def test_given_an_incomplete_pass_no_record_is_called_synced_that_is_not(world: World) -> None:
    world.fill(4)
    world.reconcile()
    world.right.remove(world.links()["k02"])
    world.reconcile(plan_only=True)
    assert world.state("k02").state is State.OUT_OF_SYNC
    world.left.gaps = ["a page vanished"]

    with pytest.raises(SnapshotUnsealed):
        world.reconcile()

    assert world.state("k02").state is State.OUT_OF_SYNC


def test_given_selective_keys_nothing_is_ever_retired_or_called_an_orphan(world: World) -> None:
    world.policies["guard"] = GuardLimits(enabled=False)
    world.fill(4)
    world.right.put("stranger", "nk-stranger", name="made by hand")
    world.reconcile()
    world.left.remove("k02")

    assert world.writes_of(lambda: world.reconcile(keys=["nk-k02", "nk-stranger"])) == {}
    assert world.findings() == {("orphan", "stranger")}
    assert world.writes_of(world.reconcile) == {"retire": 1}


def test_given_a_record_that_vanishes_before_it_was_created_nothing_stays_queued(world: World) -> None:
    world.fill(3)
    world.reconcile(plan_only=True)
    world.left.remove("k02")

    world.reconcile()

    assert world.tally() == {State.SYNCED: 3}


def test_given_an_empty_source_that_retires_nothing_no_orphans_are_reported_until_it_is_believed(world: World) -> None:
    """The first empty listing is suspicious; as it changes nothing, it is believed, and the next run measures by it."""
    world.policies["retires"] = False
    world.fill(3)
    world.reconcile()
    world.left.rows.clear()

    world.reconcile()
    assert world.findings() == set()
    world.reconcile()
    assert len(world.findings()) == 3


def test_given_a_record_that_goes_by_another_natural_key_at_the_target_a_selective_look_does_not_take_it_for_gone(
    world: World,
) -> None:
    world.fill(3)
    world.reconcile()
    links = world.links()
    world.right.replace(links["k02"], natural_key="renamed by hand")

    planned = world.reconcile(keys=["nk-k02"], plan_only=True)

    assert planned.plan.counts["create"] == 0
    stored = world.sql("SELECT natural_key FROM sync.record WHERE side = 'right' AND key = :key", key=links["k02"])
    assert stored == [("renamed by hand",)]


def test_given_a_record_that_is_gone_at_the_target_a_selective_look_finds_so(world: World) -> None:
    world.fill(3)
    world.reconcile()
    world.right.remove(world.links()["k02"])

    assert world.writes_of(lambda: world.reconcile(keys=["nk-k02"])) == {"create": 1, "write": 1}

    assert world.agrees()
