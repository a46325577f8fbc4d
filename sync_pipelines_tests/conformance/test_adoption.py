"""Records that are on both sides already are linked by their natural key, and never made a second time."""

from __future__ import annotations

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Subject


def test_given_equal_records_on_both_sides_then_they_are_linked_without_a_write(
    subject: Subject, operator: Operator
) -> None:
    """Losing everything but the audit log costs nothing: all records are found again, none is created."""
    keys = subject.add(3)
    operator.reconcile()
    operator.lose_store()

    result = operator.reconcile()

    assert (result.plan.counts["adopt"], result.plan.counts["create"]) == (3, 0)
    assert subject.creates() == 3
    assert {operator.state(key).state for key in keys} == {State.SYNCED}
    operator.ends_well()


def test_given_a_different_record_with_the_same_natural_key_then_it_is_linked_and_brought_in_line(
    subject: Subject, operator: Operator
) -> None:
    """An existing record is adopted and gets the fields that differ; it is not replaced."""
    different, _ = subject.add(2)
    operator.reconcile()
    before = subject.shown()
    operator.lose_store()
    subject.edit_right(subject.natural_key(different))

    result = operator.reconcile()

    assert (result.plan.counts["adopted"], result.plan.counts["update"]) == (2, 1)
    assert (subject.shown(), subject.creates()) == (before, 2)
    operator.ends_well()


def test_given_a_lost_link_then_the_record_is_linked_again_and_not_created(
    subject: Subject, operator: Operator
) -> None:
    """A link is knowledge that can be won back, not the only copy of it."""
    key, _ = subject.add(2)
    operator.reconcile()
    operator.sql("DELETE FROM sync.base WHERE left_key = :key", key=key)

    assert operator.committed(operator.reconcile) == 0

    assert subject.creates() == 2
    operator.ends_well()


def test_given_two_records_at_the_target_with_one_natural_key_then_none_is_touched_until_one_is_removed(
    subject: Subject, operator: Operator
) -> None:
    """Which of two is the right one cannot be guessed: it is reported, and nothing is created beside them."""
    doubled, other = subject.add(2)
    natural_key = subject.natural_key(doubled)
    operator.reconcile()
    operator.lose_store()
    subject.double_right(natural_key)
    subject.edit(doubled)
    subject.edit(other)
    before = subject.shown()[natural_key]

    operator.reconcile()

    assert operator.findings("duplicate")[:1] == [natural_key]
    assert (subject.shown()[natural_key], subject.creates()) == (before, 2)
    assert operator.state(other).state is State.SYNCED
    assert operator.committed(operator.reconcile) == 0

    subject.delete_right(natural_key)
    operator.reconcile()
    assert operator.findings("duplicate") == []
    operator.ends_well()


def test_given_a_record_that_was_retired_before_the_memory_was_lost_then_it_comes_back_as_the_same_one(
    subject: Subject, operator: Operator
) -> None:
    """Out of service is not gone: a record that returns to the source is found among the retired ones."""
    key, _ = subject.add(2)
    operator.reconcile()
    subject.remove(key)
    operator.reconcile()
    operator.lose_store()
    subject.bring_back(key)

    operator.reconcile()

    assert (subject.creates(), subject.in_service(subject.natural_key(key))) == (2, 1)
    operator.ends_well()
