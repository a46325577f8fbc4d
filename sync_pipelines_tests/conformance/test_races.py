"""Somebody else moves while a run works: the source, a person at the target, or another run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sync_pipelines.core.errors import LeaseHeld, LeaseLost
from sync_pipelines.core.lifecycle import State
from sync_pipelines.store import leases
from sync_pipelines_tests.conformance.meddling import Moment
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Opening, Subject


def test_given_an_edit_at_the_target_after_the_plan_then_it_is_not_overwritten_blindly(
    subject: Subject, operator: Operator
) -> None:
    """A change planned for what is no longer there is skipped, and planned anew from what is."""
    key, _ = subject.add(2)
    natural_key = subject.natural_key(key)
    operator.reconcile()
    subject.edit(key)
    commits = subject.commits()

    applied = operator.reconcile_with_break(lambda: subject.edit_right(natural_key))

    assert (applied.outcomes, subject.commits()) == ({"stale": 1}, commits)
    result = operator.reconcile()
    assert result.plan.counts["drifted"] == 1
    operator.ends_well()


def test_given_an_edit_at_the_source_after_the_plan_then_the_next_run_brings_it_through(
    subject: Subject, operator: Operator
) -> None:
    """The source may move on at any time; two runs after the last edit both sides agree."""
    key, _ = subject.add(2)
    operator.reconcile()
    subject.edit(key)

    operator.reconcile_with_break(lambda: subject.edit(key))
    # A target that asks the source once more while it writes is told of the newer state, and fails for this time.
    operator.let_time_pass()

    assert operator.reconcile().plan.counts["drifted"] == 0
    operator.ends_well()


def test_given_a_record_deleted_at_the_target_after_the_plan_then_it_is_created_again_once(
    subject: Subject, operator: Operator
) -> None:
    """An update of what is gone is no update: the next run creates it."""
    key, _ = subject.add(2)
    natural_key = subject.natural_key(key)
    operator.reconcile()
    subject.edit(key)

    applied = operator.reconcile_with_break(lambda: subject.delete_right(natural_key))

    assert applied.outcomes == {"stale": 1}
    operator.reconcile()
    assert (subject.creates(), subject.in_service(natural_key)) == (3, 1)
    operator.ends_well()


@pytest.mark.parametrize("moment", [("before", "write"), ("after", "write")], ids=" the ".join)
def test_given_a_person_who_edits_another_field_while_the_run_writes_then_it_is_not_taken_for_agreed(
    subject: Subject, operator: Operator, moment: Moment
) -> None:
    """An edit in the middle of a write stands, is told, and only the next run takes it back."""
    key, _ = subject.add(2)
    natural_key = subject.natural_key(key)
    operator.reconcile()
    (before,) = subject.shown()[natural_key]
    subject.edit(key)

    operator.reconcile(meddling={moment: lambda: subject.edit_right(natural_key)})

    (shown,) = subject.shown()[natural_key]
    assert sum(value != before[name] for name, value in shown.items()) == 2
    assert operator.state(key).state is State.OUT_OF_SYNC
    assert "changed at the target while it was written" in operator.state(key).reason
    operator.reconcile()
    operator.ends_well()


def test_given_an_update_that_somebody_else_overwrites_at_once_then_it_is_not_taken_for_written(
    subject: Subject, operator: Operator
) -> None:
    """What counts is what the target shows after the write: a lost update is a failure, and tried again."""
    key, _ = subject.add(2)
    natural_key = subject.natural_key(key)
    operator.reconcile()
    subject.edit(key)

    operator.reconcile(meddling={("after", "write"): lambda: subject.overwrite_right(natural_key)})

    assert operator.state(key).state is State.RETRYING
    operator.let_time_pass()
    operator.reconcile()
    operator.ends_well()


def test_given_a_run_at_work_then_another_of_the_same_pair_is_refused_and_changes_nothing(
    subject: Subject, operator: Operator
) -> None:
    """Two runs of one pair never work at the same time."""
    subject.add(2)
    refusals: list[str] = []

    def intrude() -> None:
        with pytest.raises(LeaseHeld) as refused:
            _elsewhere(operator.reconcile)
        refusals.append(str(refused.value))

    operator.reconcile(meddling={("before", "create"): intrude})

    assert len(refusals) == 1
    assert subject.creates() == 2
    assert operator.sql("SELECT count(*) FROM sync.plan") == [(1,)]
    operator.ends_well()


def test_given_a_run_at_work_then_a_patient_one_waits_for_its_turn(subject: Subject, operator: Operator) -> None:
    """A run with patience does its work after the other one, and finds it done."""
    subject.add(2)

    async def both() -> tuple[int, int]:
        opener = subject.opener()
        runs = (operator.reconciling(opener, patience=30.0) for _ in range(2))
        first, second = await asyncio.gather(*runs)
        return first.plan.changes, second.plan.changes

    assert sorted(asyncio.run(both())) == [0, 2]
    assert subject.creates() == 2
    operator.ends_well()


@pytest.mark.parametrize("moment", [("before", "create"), ("after", "create")], ids=" the ".join)
def test_given_a_lease_that_is_taken_over_then_the_zombie_settles_nothing_and_nothing_is_doubled(
    subject: Subject, operator: Operator, moment: Moment
) -> None:
    """A run that lost its lease while it worked is fenced; the run that took over ends with one record each."""
    _outlive_its_lease(subject, operator, moment)


@needs(Capability.DRAFTS)
def test_given_a_lease_that_is_taken_over_after_a_draft_was_filled_in_then_nothing_is_doubled(
    subject: Subject, operator: Operator
) -> None:
    """Between the two writes that make a record, too, a run that lost its lease is fenced."""
    _outlive_its_lease(subject, operator, ("after", "write"))


def _outlive_its_lease(subject: Subject, operator: Operator, moment: Moment) -> None:
    subject.add(2)

    with pytest.raises(LeaseLost):
        operator.reconcile(meddling={moment: lambda: _take_over(subject, operator)})

    operator.let_time_pass()
    operator.reconcile()
    operator.let_time_pass()
    operator.reconcile()
    assert subject.creates() == 2
    operator.ends_well()


def test_given_a_zombie_that_still_creates_while_its_successor_runs_then_there_is_one_record(
    subject: Subject, operator: Operator
) -> None:
    """The successor sees the zombie's intent and waits for it to be over before it creates anything itself."""
    (key,) = subject.add()

    def succeed() -> None:
        operator.sql("UPDATE sync.lease SET expires_at = now() - interval '1 s'")
        _elsewhere(operator.reconcile)

    with pytest.raises(LeaseLost):
        operator.reconcile(meddling={("before", "create"): succeed})

    operator.let_time_pass()
    operator.reconcile()
    assert (subject.creates(), subject.in_service(subject.natural_key(key))) == (1, 1)
    operator.ends_well()


def test_given_many_records_at_once_then_nothing_is_written_twice(subject: Subject, operator: Operator) -> None:
    """With several in flight no record is written more often than one at a time would be; some may share a write."""
    keys = subject.add(3)
    operator.reconcile(Opening(policies={"in_flight": 1}))
    one_at_a_time = subject.commits()
    subject.add(3)

    operator.reconcile(Opening(policies={"in_flight": 8}))

    assert subject.commits() <= 2 * one_at_a_time
    assert subject.creates() == 2 * len(keys)
    operator.ends_well()


def _take_over(subject: Subject, operator: Operator) -> None:
    operator.sql("UPDATE sync.lease SET expires_at = now() - interval '1 s'")
    with subject.engine.begin() as connection:
        leases.take(connection, operator.scope.lease, "another run", 60.0)


def _elsewhere(action: Callable[[], object]) -> None:
    """Do something in a thread of its own, and raise what it raises."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(action).result()
