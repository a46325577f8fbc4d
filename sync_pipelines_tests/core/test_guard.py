"""The guard: when a plan has to wait for a person."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.guard import Approvals, GuardFacts, GuardLimits, judge

LIMITS = GuardLimits()


@pytest.mark.parametrize(
    ("linked", "destructive", "limits", "held_for"),
    [
        (100, 0, LIMITS, None),
        (100, 20, LIMITS, None),
        (100, 21, LIMITS, "21 of 100 linked records (21.0 %) would be retired or archived; the limit is 20 %"),
        (5, 1, LIMITS, None),
        (4, 1, LIMITS, "1 of 4 linked records (25.0 %)"),
        (4, 1, GuardLimits(ignore_up_to=1), None),
        (4, 2, GuardLimits(ignore_up_to=1), "2 of 4 linked records (50.0 %)"),
        (10_000, 500, LIMITS, None),
        (10_000, 501, LIMITS, "501 records would be retired or archived; the limit is 500"),
        (10_000, 501, GuardLimits(ignore_up_to=1000), "the limit is 500"),
        (0, 1, LIMITS, "1 of 0 linked records (all)"),
        (3, 1, GuardLimits(max_fraction=Decimal(1) / 3), "the limit is 33.33"),
        (100, 100, GuardLimits(max_fraction=Decimal(1)), None),
        (100, 1, GuardLimits(max_fraction=Decimal(0)), "the limit is 0 %"),
        (100, 100, GuardLimits(enabled=False), None),
    ],
)
def test_a_plan_that_takes_away_too_much_is_held(
    linked: int, destructive: int, limits: GuardLimits, held_for: str | None
) -> None:
    verdict = judge(limits, GuardFacts(linked=linked, destructive=destructive, changes=destructive))

    assert verdict.held is (held_for is not None)
    if held_for:
        assert any(held_for in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("changes", "destructive", "enabled", "held"),
    [
        (1, 0, True, True),
        (0, 0, True, False),
        (1, 0, False, False),
        (1, 1, False, True),
    ],
)
def test_any_change_that_rests_on_an_unsealed_snapshot_is_held_and_a_destructive_one_even_by_a_guard_that_is_off(
    changes: int, destructive: int, enabled: bool, held: bool
) -> None:
    facts = GuardFacts(linked=10, destructive=destructive, changes=changes, unsealed=("source: the listing is empty",))

    verdict = judge(GuardLimits(enabled=enabled), facts)

    assert verdict.held is held
    assert not held or "not sealed: source: the listing is empty" in verdict.reasons[0]


def test_a_guard_that_is_off_knows_no_limits() -> None:
    facts = GuardFacts(linked=600, destructive=600, changes=600)
    assert judge(GuardLimits(enabled=False), facts).reasons == ()


def test_changes_that_need_a_person_are_counted_by_reason_and_a_few_of_them_named() -> None:
    assert Approvals().reasons == ()
    approvals = Approvals()
    for number in range(7):
        approvals.need("would be removed for good", f"k{number}")
    approvals.need("would be moved", "m")

    assert approvals.reasons == (
        "1 record would be moved: m",
        "7 records would be removed for good: k0, k1, k2, k3, k4 and 2 more",
    )


def test_every_reason_is_given() -> None:
    facts = GuardFacts(linked=600, destructive=600, changes=600, unsealed=("a", "b"))
    assert len(judge(LIMITS, facts).reasons) == 4
