"""SIGKILL between the steps of a run, in dead letters, in recovery and in approvals; and what holds until the rerun."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import LeaseHeld
from sync_pipelines_tests.conformance.registry import REGISTERED
from sync_pipelines_tests.conformance.subject import Registration
from sync_pipelines_tests.kills.outcome import Undisturbing, expect_as_undisturbed
from sync_pipelines_tests.kills.points import (
    APPROVAL_POINTS,
    CHANGE_POINTS,
    LETTER_POINTS,
    RECOVERY_POINTS,
    RUN_POINTS,
)
from sync_pipelines_tests.kills.worlds import ACTIONS, opened

pytestmark = pytest.mark.long

APPROVALS = {"before-approval": 1, "after-approval": 0, "after-begin": 0, "after-call": 1}
"""Label of the point -> how often the changes have to be approved again, at most."""
EVERY = pytest.mark.parametrize("registration", [pytest.param(one, id=one.name) for one in REGISTERED])


def killed_at(names: str, cases: Iterable[tuple[str, ...]], labels: int) -> pytest.MarkDecorator:
    """Run a test for every pipeline and case, unless the pipeline is not killed at the points of the case.

    Arguments:
        names: of the case's parts, as ``parametrize`` takes them.
        labels: how many of the parts, from the first on, are labels of points.
    """
    return pytest.mark.parametrize(
        f"{names}, registration",
        [
            pytest.param(*case, one, id="-".join((*case, one.name)))
            for case in cases
            for one in REGISTERED
            if one.is_killed_at(*case[:labels])
        ],
    )


@killed_at("label", [(label,) for label in RUN_POINTS], 1)
def test_given_a_kill_between_the_steps_of_a_run_then_after_the_rerun_all_is_as_without_it(
    registration: Registration, label: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, "create") as world:
        world.kill(RUN_POINTS[label])

        world.let_time_pass()
        world.reconcile()

        expect_as_undisturbed(world, undisturbed(registration, "create"))


@killed_at("label, action", product(LETTER_POINTS, ACTIONS), 1)
def test_given_a_kill_while_moving_to_the_dead_letters_then_it_is_there_once(
    registration: Registration, label: str, action: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, action, refused=True) as world:
        world.kill(LETTER_POINTS[label])

        world.let_time_pass()
        world.reconcile()

        expected = undisturbed(registration, action, refused=True)
        assert len(expected.remembered["dead letters"]) == 1
        expect_as_undisturbed(world, expected)


@killed_at(
    "first, second, occasion",
    [
        ("after-call", "mid-recovery", "create"),
        ("after-call", "mid-plan", "create"),
        ("after-call", "before-settle", "create"),
        ("before-settle", "mid-recovery", "create"),
        ("before-settle", "mid-plan", "update"),
        ("after-intent", "before-settle", "update"),
        ("after-intent", "after-call", "create"),
        ("after-call", "before-settle", "retire"),
    ],
    2,
)
def test_given_the_run_that_takes_over_is_killed_too_then_all_is_as_without_both(
    registration: Registration, first: str, second: str, occasion: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, occasion) as world:
        world.kill(CHANGE_POINTS[first])
        world.let_time_pass()
        world.kill(RECOVERY_POINTS[second])

        world.let_time_pass()
        world.reconcile()

        expect_as_undisturbed(world, undisturbed(registration, occasion))


@killed_at("label", [("after-intent",), ("after-call",)], 1)
def test_given_a_kill_while_a_lost_record_is_made_anew_then_it_is_made_once(
    registration: Registration, label: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, "recreate") as world:
        world.kill(CHANGE_POINTS[label])

        world.let_time_pass()
        world.reconcile()

        expect_as_undisturbed(world, undisturbed(registration, "recreate"))


@EVERY
@pytest.mark.parametrize("occasion", ["create", "recreate"])
def test_given_a_kill_before_a_create_arrived_then_nothing_is_made_until_it_surely_never_will(
    registration: Registration, occasion: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, occasion) as world:
        made = world.subject.creates()
        world.kill(CHANGE_POINTS["after-intent"])
        with pytest.raises(LeaseHeld, match="by killed since"):
            world.reconcile()

        world.let_lease_expire()
        early = world.reconcile()
        assert (early.plan.counts["waiting"], world.subject.creates()) == (1, made)

        world.let_time_pass()
        world.reconcile()
        expect_as_undisturbed(world, undisturbed(registration, occasion))


@killed_at("label", [(label,) for label in APPROVALS], 1)
def test_given_a_kill_while_a_held_plan_is_approved_then_the_same_changes_need_no_second_approval(
    registration: Registration, label: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, "retire", guarded=True) as world:
        held = world.reconcile().plan
        assert held.state == "held"
        world.kill(APPROVAL_POINTS[label], world.approving(held.hash))

        world.let_time_pass()
        given = 0
        while (plan := world.reconcile().plan).state == "held":
            world.approve(plan.hash)
            given += 1

        # Of a retirement that takes one request nothing is left to approve.
        assert given <= APPROVALS[label]
        expect_as_undisturbed(world, undisturbed(registration, "retire"))


@EVERY
def test_given_a_point_that_is_not_passed_then_the_kill_fails(registration: Registration, engine: Engine) -> None:
    with (
        opened(registration, engine, "update") as world,
        pytest.raises(AssertionError, match="the point was never reached"),
    ):
        world.kill(LETTER_POINTS["after-letter"])
