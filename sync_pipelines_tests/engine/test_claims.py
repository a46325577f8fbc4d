"""A target record that is linked with one record and claims to be another: nothing is guessed, and it is said."""

from __future__ import annotations

import pytest

from sync_pipelines_tests.engine.worlds import World


@pytest.mark.parametrize("lost", [False, True], ids=["never created", "lost at the target"])
def test_given_a_linked_target_record_that_claims_another_natural_key_it_is_a_standing_conflict(
    world: World, lost: bool
) -> None:
    world.fill(2)
    if not lost:
        newcomer = world.left.rows.pop("k02")
    world.reconcile()
    if lost:
        world.right.remove(world.links()["k02"])
    else:
        world.left.rows["k02"] = newcomer
    linked = world.links()["k01"]
    world.right.replace(linked, natural_key="nk-k02")

    plan = world.reconcile().plan

    assert (plan.changes, plan.counts["conflicts"]) == (0, 1)
    assert world.findings() == {("duplicate", "nk-k02")}
    assert f"{linked} claims this natural key at the target" in world.state("k02").reason

    world.right.replace(linked, natural_key="nk-k01")
    world.reconcile()
    assert world.agrees()
    assert world.findings() == set()
