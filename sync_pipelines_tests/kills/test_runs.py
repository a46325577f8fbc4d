"""SIGKILL between the steps of a run, in dead letters, in recovery and in approvals; and what holds until the rerun."""

from __future__ import annotations

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

EVERY = pytest.mark.parametrize("registration", [pytest.param(one, id=one.name) for one in REGISTERED])


@EVERY
@pytest.mark.parametrize("label", RUN_POINTS)
def test_given_a_kill_between_the_steps_of_a_run_then_after_the_rerun_all_is_as_without_it(
    registration: Registration, label: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, "create") as world:
        world.kill(RUN_POINTS[label])

        world.let_time_pass()
        world.reconcile()

        expect_as_undisturbed(world, undisturbed(registration, "create"))


@EVERY
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("label", LETTER_POINTS)
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


@EVERY
@pytest.mark.parametrize(
    ("first", "second", "occasion"),
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


@EVERY
@pytest.mark.parametrize("label", ["after-intent", "after-call"])
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


@EVERY
@pytest.mark.parametrize(
    ("label", "approvals"),
    [
        pytest.param(label, approvals, id=f"{label}-retire")
        for label, approvals in (("before-approval", 1), ("after-approval", 0), ("after-begin", 0), ("after-call", 1))
    ],
)
def test_given_a_kill_while_a_held_plan_is_approved_then_the_same_changes_need_no_second_approval(
    registration: Registration, label: str, approvals: int, engine: Engine, undisturbed: Undisturbing
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

        assert given == approvals
        expect_as_undisturbed(world, undisturbed(registration, "retire"))


@EVERY
def test_given_a_point_that_is_not_passed_then_the_kill_fails(registration: Registration, engine: Engine) -> None:
    with (
        opened(registration, engine, "update") as world,
        pytest.raises(AssertionError, match="the point was never reached"),
    ):
        world.kill(LETTER_POINTS["after-letter"])
