"""Plans that take away too much wait for a person, who lets exactly one of them through."""

from __future__ import annotations

import pytest

from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Opening, Subject

GUARDED = Opening(policies={"guard": GuardLimits()})


def _held(subject: Subject, operator: Operator) -> tuple[list[str], StoredPlan]:
    """Let two of five linked records be gone. Returns their keys and the plan that waits."""
    keys = subject.add(5)
    operator.reconcile(GUARDED)
    before = subject.shown()
    for key in keys[:2]:
        subject.remove(key)
    result = operator.reconcile(GUARDED)
    assert (result.plan.state, result.applied) == ("held", None)
    assert subject.shown() == before
    return keys[:2], result.plan


def test_given_a_fifth_of_the_records_gone_then_they_are_retired_unasked(subject: Subject, operator: Operator) -> None:
    """The guard lets everyday changes through."""
    key, *_ = subject.add(5)
    operator.reconcile(GUARDED)
    subject.remove(key)

    result = operator.reconcile(GUARDED)

    assert result.plan.counts["retire"] == 1
    assert subject.in_service(subject.natural_key(key)) == 0
    operator.ends_well()


def test_given_more_than_a_fifth_gone_then_the_plan_waits_and_goes_through_once_when_approved(
    subject: Subject, operator: Operator
) -> None:
    """A mass retire is held with its numbers; an approval lets that plan through, once."""
    gone, plan = _held(subject, operator)
    assert plan.held_reasons[0].startswith("2 of 5 linked records")

    operator.approve(plan.hash, GUARDED)

    assert [subject.in_service(subject.natural_key(key)) for key in gone] == [0, 0]
    with pytest.raises(PlanRefused, match="was applied already"):
        operator.approve(plan.hash, GUARDED)
    operator.ends_well()


def test_given_a_held_plan_and_a_source_that_recovers_then_the_plan_can_no_longer_be_approved(
    subject: Subject, operator: Operator
) -> None:
    """Newer observations supersede a plan: nobody can approve what is not true any more."""
    gone, plan = _held(subject, operator)
    for key in gone:
        subject.bring_back(key)
    operator.reconcile(GUARDED)

    with pytest.raises(PlanRefused, match="superseded"):
        operator.approve(plan.hash, GUARDED)

    assert [subject.in_service(subject.natural_key(key)) for key in gone] == [1, 1]
    operator.ends_well()


def test_given_a_held_plan_and_one_more_record_gone_then_it_is_another_plan_that_waits(
    subject: Subject, operator: Operator
) -> None:
    """An approval counts for the changes that were shown, not for more."""
    gone, plan = _held(subject, operator)
    (third,) = subject.add()
    operator.reconcile(keys=[subject.natural_key(third)])
    subject.remove(third)

    other = operator.reconcile(GUARDED).plan

    assert (other.state, other.hash != plan.hash) == ("held", True)
    operator.approve(other.hash, GUARDED)
    assert [subject.in_service(subject.natural_key(key)) for key in [*gone, third]] == [0, 0, 0]
    operator.ends_well()


def test_given_many_updates_that_take_something_away_then_they_wait_too(subject: Subject, operator: Operator) -> None:
    """An update that the pair calls destructive counts like a retire."""
    everything = Opening(policies={"guard": GuardLimits(), "destructive": _is_update})
    keys = subject.add(5)
    operator.reconcile(everything)
    for key in keys[:2]:
        subject.edit(key)

    result = operator.reconcile(everything)

    assert (result.plan.state, result.plan.counts["destructive"], result.applied) == ("held", 2, None)
    operator.approve(result.plan.hash, everything)
    operator.ends_well()


def test_given_an_approval_that_comes_late_then_what_moved_on_meanwhile_is_skipped(
    subject: Subject, operator: Operator
) -> None:
    """A plan that waited is applied record by record, and only where the source still says what was planned."""
    everything = Opening(policies={"guard": GuardLimits(), "destructive": _is_update})
    moved, still, *_ = subject.add(5)
    operator.reconcile(everything)
    subject.edit(moved)
    subject.edit(still)
    held = operator.reconcile(everything).plan
    subject.edit(moved)
    operator.reconcile(keys=[subject.natural_key(moved)], plan_only=True)
    before = subject.shown()[subject.natural_key(moved)]

    result = operator.approve(held.hash, everything)

    assert result.applied is not None
    assert result.applied.outcomes == {"stale": 1, "applied": 1}
    assert subject.shown()[subject.natural_key(moved)] == before
    operator.reconcile()
    operator.ends_well()


def _is_update(before: object, after: object) -> bool:
    return before is not None
