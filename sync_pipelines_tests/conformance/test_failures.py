"""What follows a refusal or a lost reply: dead letters, retries on time, and never a second create."""

from __future__ import annotations

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Mishap, Opening, Step, Subject

STEPS: tuple[Step, ...] = ("create", "change")
DONE = (Mishap.REPLY_LOST, Mishap.ERROR_AFTER_COMMIT)
ONE_BY_ONE = Opening(policies={"in_flight": 1})


def _ready(subject: Subject, operator: Operator, step: Step) -> list[str]:
    """Return the keys of three records; the next run creates them, or changes them."""
    keys = subject.add(3)
    if step == "change":
        operator.reconcile()
        for key in keys:
            subject.edit(key)
    return keys


@pytest.mark.parametrize("step", STEPS)
def test_given_a_refused_record_then_it_is_dead_lettered_the_others_go_on_and_reprocessing_brings_it_through(
    subject: Subject, operator: Operator, step: Step
) -> None:
    """A refusal for good is not repeated until a person says so, and holds nobody else up."""
    keys = _ready(subject, operator, step)
    subject.hinder(step, Mishap.REFUSED)

    operator.reconcile()

    (letter,) = operator.letters()
    assert {key: operator.state(key).state for key in keys if key != letter.key} == {
        key: State.SYNCED for key in keys if key != letter.key
    }
    assert operator.state(letter.key).state is State.DEAD_LETTERED
    assert letter.attempts == 1
    assert operator.committed(operator.reconcile) == 0

    assert operator.reprocess(letter.key) == [letter.key]
    operator.reconcile()
    assert operator.letters() == []
    operator.ends_well()


@needs(Capability.INVALID)
def test_given_a_record_that_cannot_be_mapped_then_it_is_reported_and_nothing_is_done_to_its_counterpart(
    subject: Subject, operator: Operator
) -> None:
    """Bad data at the source stops that record, not the run; mended and reprocessed it goes on."""
    spoiled, other, new = subject.add(3)
    operator.reconcile(keys=[subject.natural_key(spoiled), subject.natural_key(other)])
    before = subject.shown()[subject.natural_key(spoiled)]
    subject.spoil(spoiled)
    subject.edit(other)

    result = operator.reconcile()

    assert result.plan.counts["invalid"] == 1
    assert [letter.key for letter in operator.letters()] == [spoiled]
    assert subject.shown()[subject.natural_key(spoiled)] == before
    assert {operator.state(key).state for key in (other, new)} == {State.SYNCED}

    subject.mend(spoiled)
    operator.reprocess(spoiled)
    operator.reconcile()
    assert operator.letters() == []
    operator.ends_well()


def test_given_failures_that_go_on_then_the_record_is_given_up_after_its_retries_and_comes_through_later(
    subject: Subject, operator: Operator
) -> None:
    """Retries end: the record waits as a dead letter, with its history, for a person."""
    opening = Opening(policies={"retry": RetryPolicy(max_retries=1), "in_flight": 1})
    _ready(subject, operator, "change")
    subject.hinder("change", Mishap.ROLLED_BACK, times=4)

    for _ in range(2):
        operator.reconcile(opening)
        operator.let_time_pass()

    letters = operator.letters()
    assert letters
    assert {letter.attempts for letter in letters} == {2}
    subject.relent()
    operator.reprocess()
    operator.reconcile()
    assert operator.letters() == []
    operator.ends_well()


@pytest.mark.parametrize("step", STEPS)
def test_given_a_failure_that_will_pass_then_the_retry_waits_for_its_time(
    subject: Subject, operator: Operator, step: Step
) -> None:
    """A failed record is not hammered: nothing is sent before its retry is due, then it comes through."""
    keys = _ready(subject, operator, step)
    subject.hinder(step, Mishap.ROLLED_BACK)

    operator.reconcile()

    (waiting,) = [key for key in keys if operator.state(key).state is State.RETRYING]
    assert operator.committed(operator.reconcile) == 0
    assert operator.state(waiting).failures == 1
    operator.let_time_pass()
    operator.reconcile()
    assert subject.creates() == 3
    operator.ends_well()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("mishap", DONE)
def test_given_a_write_that_was_done_although_its_reply_says_otherwise_then_it_is_not_done_again(
    subject: Subject, operator: Operator, step: Step, mishap: Mishap
) -> None:
    """A lost reply, or an error after the commit, is looked into: the target shows that it was done."""
    keys = _ready(subject, operator, step)
    subject.hinder(step, mishap)

    operator.reconcile()
    operator.let_time_pass()
    operator.reconcile()

    assert subject.creates() == 3
    assert [subject.in_service(subject.natural_key(key)) for key in keys] == [1, 1, 1]
    operator.ends_well()


@pytest.mark.parametrize("mishap", [Mishap.REPLY_LOST, Mishap.ROLLED_BACK])
def test_given_a_retire_whose_outcome_is_unknown_then_it_is_retired_in_the_end(
    subject: Subject, operator: Operator, mishap: Mishap
) -> None:
    """Taking out of service is safe to repeat."""
    gone, _ = subject.add(2)
    operator.reconcile()
    subject.remove(gone)
    subject.hinder("change", mishap)

    operator.reconcile()
    operator.let_time_pass()
    operator.reconcile()

    assert subject.in_service(subject.natural_key(gone)) == 0
    operator.ends_well()


def test_given_a_create_that_may_still_be_running_then_no_second_one_is_sent_before_it_must_be_over(
    subject: Subject, operator: Operator
) -> None:
    """Nothing to be seen of a create is no proof that it failed: the quiet time is kept, whatever is due."""
    (key,) = subject.add()
    subject.hinder("create", Mishap.ROLLED_BACK)
    operator.reconcile()
    operator.sql("UPDATE sync.record_state SET next_retry_at = now() - interval '1 s'")

    assert operator.committed(operator.reconcile) == 0
    assert "reply to an earlier create was lost" in operator.state(key).reason

    operator.let_time_pass()
    operator.reconcile()
    assert subject.creates() == 1
    operator.ends_well()


@pytest.mark.parametrize("skip", [0, 1])
def test_given_credentials_that_are_refused_in_the_middle_then_the_run_stops_and_no_record_pays(
    subject: Subject, operator: Operator, skip: int
) -> None:
    """Refused credentials end the run at once: nothing is lost, nothing is counted against a record."""
    keys = subject.add(3)
    subject.hinder("create", Mishap.UNAUTHORIZED, times=None, skip=skip)

    with pytest.raises(PeerError) as stopped:
        operator.reconcile(ONE_BY_ONE)

    assert stopped.value.kind is FailureKind.AUTH
    assert subject.creates() == skip
    assert {operator.state(key).failures for key in keys} == {0}
    assert operator.letters() == []
    subject.relent()
    operator.reconcile()
    assert subject.creates() == 3
    operator.ends_well()


def test_given_a_dead_letter_whose_source_record_goes_away_then_it_does_not_stand_in_the_way(
    subject: Subject, operator: Operator
) -> None:
    """What cannot be written need not be, once the source has given it up."""
    refused, _ = subject.add(2)
    operator.reconcile()
    subject.edit(refused)
    subject.hinder("change", Mishap.REFUSED)
    operator.reconcile()
    subject.remove(refused)
    operator.reprocess(refused)

    operator.reconcile()

    assert subject.in_service(subject.natural_key(refused)) == 0
    operator.ends_well()
