"""When a failed record is tried again, and when it is given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.retry import GiveUp, Pause, Retry, RetryPolicy, after_failure
from sync_pipelines_tests.core.law_cases import law

POLICY = RetryPolicy()
RETRIED = [FailureKind.TRANSIENT, FailureKind.AMBIGUOUS, FailureKind.GONE, FailureKind.RATE_LIMITED]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (7, 1920), (8, 3600), (2000, 3600)]
)
def test_the_wait_doubles_up_to_an_hour(failures: int, seconds: int) -> None:
    assert POLICY.delay(failures) == timedelta(seconds=seconds)


def test_failures_count_from_one() -> None:
    with pytest.raises(ValueError, match="counts from 1"):
        POLICY.delay(0)


@pytest.mark.parametrize("kind", RETRIED)
def test_the_sixth_failure_gives_up(kind: FailureKind) -> None:
    assert after_failure(kind, 5, POLICY) == Retry(timedelta(seconds=480))
    assert after_failure(kind, 6, POLICY) == GiveUp("6 failures in a row")


def test_a_refusal_for_good_gives_up_at_once() -> None:
    assert after_failure(FailureKind.PERMANENT, 1, POLICY) == GiveUp("refused for good")


@pytest.mark.parametrize("failures", [1, 6, 100])
def test_refused_credentials_cost_nothing(failures: int) -> None:
    assert after_failure(FailureKind.AUTH, failures, POLICY) == Pause()


@pytest.mark.parametrize(("asked", "waits"), [(None, 30), (0.0, 30), (10.0, 30), (31.0, 31), (7200.0, 7200)])
def test_the_wait_is_never_shorter_than_the_peer_asked_for(asked: float | None, waits: int) -> None:
    assert after_failure(FailureKind.RATE_LIMITED, 1, POLICY, retry_after=asked) == Retry(timedelta(seconds=waits))


def test_a_peer_that_asks_for_nothing_does_not_lengthen_a_short_wait() -> None:
    assert after_failure(FailureKind.TRANSIENT, 1, RetryPolicy(base=0.25)) == Retry(timedelta(seconds=0.25))


def test_every_kind_of_failure_is_decided() -> None:
    decided = {kind: type(after_failure(kind, 1, POLICY)) for kind in FailureKind}
    assert decided == dict.fromkeys(RETRIED, Retry) | {FailureKind.PERMANENT: GiveUp, FailureKind.AUTH: Pause}


@law
@given(st.integers(1, 10**6), st.floats(0.001, 1e4), st.floats(0.001, 1e5))
def test_waits_grow_and_stay_below_the_cap(failures: int, base: float, cap: float) -> None:
    policy = RetryPolicy(base=base, cap=cap)
    assert policy.delay(failures) <= policy.delay(failures + 1) <= timedelta(seconds=cap)
