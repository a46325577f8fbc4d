"""Conflicts: the guide's decision table and waits."""

from __future__ import annotations

import pytest

from sync_pipelines.core.conflicts import DECISIONS, Kind, Strategy, foremost, strategy_for, wait_before


@pytest.mark.parametrize(
    ("kind", "retries", "strategy"),
    [
        (Kind.DATA_MISMATCH, 0, Strategy.AUTO_RETRY),
        (Kind.DATA_MISMATCH, 2, Strategy.AUTO_RETRY),
        (Kind.DATA_MISMATCH, 3, Strategy.MANUAL),
        (Kind.VALIDATION_ERROR, 0, Strategy.MANUAL),
        (Kind.AUTH_ERROR, 0, Strategy.MANUAL),
        (Kind.DUPLICATE_KEY, 0, Strategy.SKIP),
        (Kind.RETRY_EXHAUSTED, 0, Strategy.MANUAL),
        (Kind.MANUAL_REVIEW, 0, Strategy.MANUAL),
    ],
)
def test_what_is_done_about_a_conflict(kind: Kind, retries: int, strategy: Strategy) -> None:
    assert strategy_for(kind, retries) is strategy


def test_a_sync_may_ask_for_other_numbers_of_retries() -> None:
    assert strategy_for(Kind.DATA_MISMATCH, 0, max_retries=0) is Strategy.MANUAL
    assert strategy_for(Kind.DATA_MISMATCH, 4, max_retries=5) is Strategy.AUTO_RETRY


def test_the_table_knows_every_kind() -> None:
    assert {row.kind for row in DECISIONS} == set(Kind)


@pytest.mark.parametrize(("retry", "seconds"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 16), (1100, 16)])
def test_the_waits_double_up_to_sixteen_seconds_and_up_to_one_more_keeps_many_apart(retry: int, seconds: float) -> None:
    assert wait_before(retry, 0).total_seconds() == seconds
    assert wait_before(retry, 1).total_seconds() == seconds + 1


@pytest.mark.parametrize(("retry", "chance"), [(-1, 0.0), (0, -0.1), (0, 1.1)])
def test_a_number_out_of_its_range_is_refused(retry: int, chance: float) -> None:
    with pytest.raises(ValueError, match="a retry counts from 0"):
        wait_before(retry, chance)


def test_a_key_that_is_taken_is_told_before_values_that_differ() -> None:
    assert foremost([Kind.DATA_MISMATCH, Kind.DUPLICATE_KEY, Kind.VALIDATION_ERROR]) is Kind.DUPLICATE_KEY
    assert foremost([Kind.DUPLICATE_KEY, Kind.AUTH_ERROR]) is Kind.AUTH_ERROR
    assert foremost([]) is None
