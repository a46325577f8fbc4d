"""Leases: one holder at a time, and a late one cannot write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseHeld, LeaseLost
from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease


def _take(engine: Engine, holder: str, seconds: float = 60) -> Lease:
    with engine.begin() as connection:
        return leases.take(connection, "pair/one", holder, seconds)


def _expire(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE sync.lease SET expires_at = clock_timestamp()"))


def test_given_a_held_lease_another_run_is_told_who_holds_it_since_when_and_until_when(engine: Engine) -> None:
    _take(engine, "the first run")

    message = r"^pair/one is being worked on by the first run since \d\d:\d\d:\d\d UTC; .*until \d\d:\d\d:\d\d UTC"
    with pytest.raises(LeaseHeld, match=message):
        _take(engine, "the second run")


def test_given_a_released_or_expired_lease_it_is_taken_with_a_larger_token(engine: Engine) -> None:
    first = _take(engine, "first")
    with engine.begin() as connection:
        leases.release(connection, first)
    second = _take(engine, "second")
    _expire(engine)
    third = _take(engine, "third")

    assert first.token < second.token < third.token


def test_given_a_takeover_the_old_holder_can_neither_write_nor_renew_nor_release(engine: Engine) -> None:
    old = _take(engine, "old")
    _expire(engine)
    new = _take(engine, "new")

    for refused in (leases.fence, lambda connection, lease: leases.renew(connection, lease, 60)):
        with pytest.raises(LeaseLost, match="old lost its lease on pair/one"), engine.begin() as connection:
            refused(connection, old)
    with engine.begin() as connection:
        leases.release(connection, old)
        leases.fence(connection, new)


def test_given_an_expired_lease_that_nobody_took_it_is_lost_all_the_same(engine: Engine) -> None:
    lease = _take(engine, "slow")
    _expire(engine)

    with pytest.raises(LeaseLost), engine.begin() as connection:
        leases.fence(connection, lease)


def test_given_a_renewal_the_lease_holds_longer(engine: Engine) -> None:
    lease = _take(engine, "a run", seconds=1)
    with engine.begin() as connection:
        leases.renew(connection, lease, 3600)
        left = connection.execute(text("SELECT expires_at > now() + interval '50 minutes' FROM sync.lease")).scalar()
    assert left is True


def test_given_a_transaction_under_the_fence_a_takeover_waits_for_its_commit(engine: Engine) -> None:
    lease = _take(engine, "old")
    with ThreadPoolExecutor(1) as threads:
        with engine.begin() as connection:
            leases.fence(connection, lease)
            taking = threads.submit(_take_expired, engine)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.3)
        assert taking.result(timeout=10).holder == "new"


def _take_expired(engine: Engine) -> Lease:
    _expire(engine)
    return _take(engine, "new")


def test_given_many_runs_at_once_exactly_one_gets_the_lease(engine: Engine) -> None:
    def attempt(number: int) -> bool:
        try:
            _take(engine, f"run {number}")
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(12))) == 1
