"""A run brings both sides into agreement, and a run in agreement does nothing."""

from __future__ import annotations

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Subject

PAGE = 2
"""Rows a page, so that a handful of records fills some."""


def test_given_both_sides_empty_then_the_first_run_does_nothing(subject: Subject, operator: Operator) -> None:
    """Two empty systems agree."""
    result = operator.reconcile()

    assert result.applied is not None
    assert result.plan.changes == subject.commits() == 0
    operator.ends_well()


@needs(Capability.LEAVES_UNTRACKED)
def test_given_an_empty_source_then_what_the_target_has_is_left_alone(subject: Subject, operator: Operator) -> None:
    """A source that never had anything takes nothing away."""
    natural_key = subject.stray()
    before = subject.shown()

    operator.reconcile()

    assert subject.shown() == before
    assert operator.findings("orphan") == [natural_key]
    operator.ends_well()


def test_given_one_record_or_pages_of_them_then_each_is_created_once_and_found_again(
    subject: Subject, operator: Operator
) -> None:
    """Nearly a page, exactly one, one more, and several: each record is created once and read back whole."""
    subject.show_pages_of(PAGE)
    keys: list[str] = []

    for count in (PAGE - 1, PAGE, PAGE + 1, 3 * PAGE):
        new = count - len(keys)
        keys += subject.add(new)
        assert operator.reconcile().plan.counts["create"] == new

    assert subject.creates() == len(keys)
    assert {subject.in_service(subject.natural_key(key)) for key in keys} == {1}
    assert {operator.state(key).state for key in keys} == {State.SYNCED}
    operator.ends_well()


def test_given_agreement_then_another_run_writes_nothing(subject: Subject, operator: Operator) -> None:
    """Running again is free: no write, no drift, an empty plan."""
    subject.add(2)
    operator.reconcile()

    second = operator.reconcile()

    assert (second.plan.changes, second.plan.counts["drifted"]) == (0, 0)
    operator.ends_well()


def test_given_an_edit_at_the_source_then_only_that_record_is_written(subject: Subject, operator: Operator) -> None:
    """The smallest set of changes: one edit, one update, the others stay as they are."""
    edited, other = subject.add(2)
    operator.reconcile()
    untouched = subject.shown()[subject.natural_key(other)]
    subject.edit(edited)

    result = operator.reconcile()

    assert (result.plan.changes, result.plan.counts["update"], result.plan.counts["drifted"]) == (1, 1, 0)
    assert subject.shown()[subject.natural_key(other)] == untouched
    operator.ends_well()


@needs(Capability.STATES)
def test_given_a_state_change_at_the_source_then_the_target_follows_it_both_ways(
    subject: Subject, operator: Operator
) -> None:
    """Switching a record off and on again arrives as such."""
    (key,) = subject.add()
    operator.reconcile()
    on = subject.shown()

    for _ in range(2):
        subject.change_state(key)
        result = operator.reconcile()
        assert result.plan.counts["state_changes"] == 1
        operator.ends_well()

    assert subject.shown() == on


def test_given_a_selective_run_then_only_the_named_records_are_touched_and_nothing_is_retired(
    subject: Subject, operator: Operator
) -> None:
    """Reconciling some keys changes nothing else and concludes nothing from what it did not look at."""
    named, other, gone = subject.add(3)
    operator.reconcile()
    before = subject.shown()
    subject.edit(named)
    subject.edit(other)
    subject.remove(gone)

    operator.reconcile(keys=[subject.natural_key(named)])

    after = subject.shown()
    changed = {natural_key for natural_key in before if after[natural_key] != before[natural_key]}
    assert changed == {subject.natural_key(named)}
    operator.reconcile()
    operator.ends_well()


def test_given_plan_mode_then_the_plan_is_stored_and_nothing_is_changed(subject: Subject, operator: Operator) -> None:
    """Looking is free: a plan can be made and read without a single write."""
    subject.add(2)

    planned = operator.reconcile(plan_only=True)

    assert (planned.plan.counts["create"], planned.applied) == (2, None)
    assert subject.shown() == {}
    operator.reconcile()
    operator.ends_well()


def test_given_the_same_world_then_the_plan_has_the_same_hash_and_another_edit_another(
    subject: Subject, operator: Operator
) -> None:
    """A plan's hash names what it would do, so that an approval of it means exactly that."""
    key, _ = subject.add(2)

    first, second = (operator.reconcile(plan_only=True).plan.hash for _ in range(2))
    subject.edit(key)
    third = operator.reconcile(plan_only=True).plan.hash

    assert first == second != third
    operator.reconcile()
    operator.ends_well()


def test_given_a_forced_comparison_of_sides_that_agree_then_nothing_is_written(
    subject: Subject, operator: Operator
) -> None:
    """Comparing field by field, whatever was agreed, finds no difference where there is none."""
    subject.add(2)
    operator.reconcile()

    assert operator.committed(lambda: operator.reconcile(force=True)) == 0
    operator.ends_well()
