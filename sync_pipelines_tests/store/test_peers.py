"""Rate limit and breaker of a peer: shared by all runs, kept by the database."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import Engine, event, text

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.peers import PACE, PeerGate, PeerLimits
from sync_pipelines_tests.store.scopes import rows_of

DOWN = PeerError("waldur", FailureKind.TRANSIENT, "no route")


def _level(engine: Engine) -> float:
    ((tokens,),) = rows_of(engine, "SELECT tokens FROM sync.peer WHERE name = 'waldur'")
    return float(tokens)


def _set(engine: Engine, assignment: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE sync.peer SET {assignment} WHERE name = 'waldur'"))


def _wait(gate: PeerGate) -> float:
    return gate._reserve("waldur").wait


def test_given_threads_of_two_processes_every_request_takes_exactly_one_token(
    engine: Engine, database_url: str
) -> None:
    rate, burst = 0.001, 5.0
    other = connect_engine(database_url)
    waits: list[float] = []

    def work(gate: PeerGate) -> None:
        waits.extend(_wait(gate) for _ in range(5))

    limits = PeerLimits(rate, burst, longest_wait=86400.0)
    gates = [PeerGate(engine, limits), PeerGate(other, limits)]
    threads = [threading.Thread(target=work, args=(gates[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.dispose()

    assert _level(engine) == pytest.approx(burst - 40, abs=0.1)
    in_line = sorted(waits)
    assert in_line[:5] == [0.0] * 5
    assert [round(wait * rate * PACE) for wait in in_line[5:]] == list(range(1, 36))


def test_given_time_the_bucket_refills_at_its_rate_and_never_above_the_burst(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=2.0, burst=10.0))
    _wait(gate)
    _set(engine, "tokens = 0, refilled_at = clock_timestamp() - interval '2 seconds'")
    assert _wait(gate) == 0
    assert _level(engine) == pytest.approx(3, abs=0.5)

    _set(engine, "refilled_at = clock_timestamp() - interval '1 day'")
    _wait(gate)
    assert _level(engine) == 9


def test_given_no_rate_nothing_is_taken_so_that_a_later_limit_starts_with_a_full_bucket(engine: Engine) -> None:
    free = PeerGate(engine, PeerLimits(rate=None, burst=2.0))
    assert [_wait(free) for _ in range(50)] == [0.0] * 50
    assert _level(engine) == 2

    limited = PeerGate(engine, PeerLimits(rate=0.5, burst=2.0))
    assert [round(_wait(limited)) for _ in range(4)] == [0, 0, 2, 4]


def test_given_a_pause_the_peer_asked_for_everybody_waits_and_leaves_at_the_rate_afterwards(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=0.1, burst=1.0, longest_wait=200.0))
    asyncio.run(gate.wait_until("waldur", 100.0))
    asyncio.run(gate.wait_until("waldur", 10.0))

    waits = [_wait(gate) for _ in range(4)]

    assert [round(wait, -1) for wait in waits] == [100, 110, 120, 130]


def test_given_a_pause_that_is_asked_for_while_somebody_waits_they_queue_up_again(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=10.0, burst=1.0))

    async def scenario() -> float:
        await gate.admit("waldur")
        _set(engine, "tokens = -2, refilled_at = clock_timestamp()")
        started = time.monotonic()
        waiting = asyncio.create_task(gate.admit("waldur"))
        await asyncio.sleep(0.05)
        await gate.wait_until("waldur", 0.6)
        await waiting
        return time.monotonic() - started

    assert asyncio.run(scenario()) >= 0.6


def test_given_failures_in_a_row_the_breaker_opens_lets_one_probe_through_and_closes_on_its_success(
    engine: Engine,
) -> None:
    limits = PeerLimits(failure_threshold=3, open_seconds=60.0)
    gate, other = PeerGate(engine, limits), PeerGate(engine, limits)

    async def scenario() -> None:
        for _ in range(2):
            await gate.admit("waldur")
            await gate.failed("waldur", DOWN)
        await gate.admit("waldur")
        await gate.failed("waldur", DOWN)
        with pytest.raises(PeerUnavailable, match=r"open after 3 failures in a row.*in \d+ s") as refusal:
            await other.admit("waldur")
        assert 0 < (refusal.value.retry_after or 0) <= 60

        _set(engine, "opened_at = clock_timestamp() - interval '61 seconds'")
        await other.admit("waldur")
        with pytest.raises(PeerUnavailable):
            await gate.admit("waldur")
        await other.succeeded("waldur")
        await gate.admit("waldur")

    asyncio.run(scenario())
    assert rows_of(engine, "SELECT failures, opened_at, probing_until FROM sync.peer") == [(0, None, None)]


def test_given_a_probe_that_fails_the_breaker_opens_again(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(failure_threshold=1, open_seconds=60.0))

    async def scenario() -> None:
        await gate.failed("waldur", DOWN)
        _set(engine, "opened_at = clock_timestamp() - interval '61 seconds'")
        await gate.admit("waldur")
        await gate.failed("waldur", DOWN)
        with pytest.raises(PeerUnavailable):
            await gate.admit("waldur")

    asyncio.run(scenario())


def test_given_a_probe_that_never_reports_the_next_one_may_try_after_a_while(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(failure_threshold=1, open_seconds=60.0))

    async def scenario() -> None:
        await gate.failed("waldur", DOWN)
        _set(engine, "opened_at = clock_timestamp() - interval '61 seconds'")
        await gate.admit("waldur")
        _set(engine, "probing_until = clock_timestamp() - interval '1 second'")
        await gate.admit("waldur")

    asyncio.run(scenario())


def test_given_many_requests_at_once_and_no_rate_then_few_questions_let_them_all_through(engine: Engine) -> None:
    gate, asked = PeerGate(engine, PeerLimits()), []
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))

    async def scenario() -> None:
        await gate.admit("waldur")
        asked.clear()
        await asyncio.gather(*(gate.admit("waldur") for _ in range(50)))

    asyncio.run(scenario())
    assert 1 <= len(asked) <= 2


def test_given_two_event_loops_then_each_asks_its_own_question(engine: Engine) -> None:
    gate, asked = PeerGate(engine, PeerLimits()), []
    asyncio.run(gate.admit("waldur"))
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))

    with asyncio.Runner() as first, asyncio.Runner() as second:
        loop = first.get_loop()
        waiting = loop.create_task(gate.admit("waldur"))
        loop.call_soon(loop.stop)
        loop.run_forever()
        second.run(gate.admit("waldur"))
        loop.run_until_complete(waiting)

    assert len(asked) == 2
    assert (gate._asking, gate._next) == ({}, {})


def test_given_many_requests_at_once_and_a_peer_that_failed_meanwhile_then_one_alone_may_try(engine: Engine) -> None:
    limits = PeerLimits(failure_threshold=1, open_seconds=60.0)
    gate, other = PeerGate(engine, limits), PeerGate(engine, limits)

    async def scenario() -> list[BaseException | None]:
        await gate.admit("waldur")
        await other.failed("waldur", DOWN)
        _set(engine, "opened_at = clock_timestamp() - interval '61 seconds'")
        return await asyncio.gather(*(gate.admit("waldur") for _ in range(10)), return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PeerUnavailable) for outcome in outcomes) == 9


def test_given_a_pause_asked_for_before_then_a_shared_question_hears_of_it(engine: Engine) -> None:
    gate, other = PeerGate(engine, PeerLimits()), PeerGate(engine, PeerLimits())

    async def scenario() -> float:
        await gate.admit("waldur")
        await other.wait_until("waldur", 0.3)
        started = time.monotonic()
        await asyncio.gather(*(gate.admit("waldur") for _ in range(5)))
        return time.monotonic() - started

    assert asyncio.run(scenario()) >= 0.3


def test_given_a_success_between_failures_the_breaker_stays_closed(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(failure_threshold=2))

    async def scenario() -> None:
        for _ in range(4):
            await gate.admit("waldur")
            await gate.failed("waldur", DOWN)
            await gate.admit("waldur")
            await gate.succeeded("waldur")
        await gate.admit("waldur")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (FailureKind.TRANSIENT, 1),
        (FailureKind.AMBIGUOUS, 1),
        (FailureKind.PERMANENT, 0),
        (FailureKind.AUTH, 0),
        (FailureKind.GONE, 0),
        (FailureKind.RATE_LIMITED, 0),
    ],
)
def test_only_failures_of_the_peer_itself_count(engine: Engine, kind: FailureKind, counts: int) -> None:
    gate = PeerGate(engine, PeerLimits())

    async def scenario() -> None:
        await gate.admit("waldur")
        await gate.failed("waldur", PeerError("waldur", kind, "refused"))

    asyncio.run(scenario())
    assert rows_of(engine, "SELECT failures FROM sync.peer") == [(counts,)]


def test_peers_do_not_share_their_buckets(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=0.001, burst=1.0))
    assert gate._reserve("waldur").wait == 0
    assert gate._reserve("chain").wait == 0
    assert gate._reserve("waldur").wait > 900


def test_given_many_more_requests_than_the_rate_allows_those_refused_leave_the_others_turns_alone(
    engine: Engine,
) -> None:
    gate = PeerGate(engine, PeerLimits(rate=0.5, burst=1.0, longest_wait=11.0))

    turns = [gate._reserve("waldur") for _ in range(100)]

    assert [turn.admitted for turn in turns[:5]] == [True] * 5
    assert 6 <= sum(turn.admitted for turn in turns) <= 8
    assert _level(engine) == pytest.approx(-5, abs=0.6)
    assert max(turn.wait for turn in turns) < 13
    _set(engine, "refilled_at = refilled_at - interval '4 seconds'")
    assert gate._reserve("waldur").admitted


def test_given_a_turn_too_far_away_the_request_is_refused_with_the_time_to_come_back_and_takes_nothing(
    engine: Engine,
) -> None:
    gate = PeerGate(engine, PeerLimits(rate=1.0, burst=1.0))

    async def scenario() -> PeerUnavailable:
        await gate.wait_until("waldur", 100.0)
        for _ in range(20):
            with pytest.raises(PeerUnavailable, match=r"no request may be sent for \d+ s") as refusal:
                await gate.admit("waldur")
        return refusal.value

    refusal = asyncio.run(scenario())

    assert refusal.kind is FailureKind.RATE_LIMITED
    assert refusal.retry_after == pytest.approx(100, abs=5)
    assert _level(engine) == 1


def test_given_a_probe_whose_turn_is_too_far_away_the_probe_is_left_to_the_next(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=0.001, burst=1.0, failure_threshold=1))

    asyncio.run(gate.failed("waldur", DOWN))
    _set(engine, "tokens = 0, opened_at = clock_timestamp() - interval '61 seconds'")

    assert not gate._reserve("waldur").admitted
    assert rows_of(engine, "SELECT probing_until FROM sync.peer") == [(None,)]


def test_given_a_process_that_was_held_up_then_the_turns_it_missed_are_not_taken_all_at_once(engine: Engine) -> None:
    gate = PeerGate(engine, PeerLimits(rate=10.0, burst=1.0))
    sent: list[float] = []

    async def request() -> None:
        await gate.admit("waldur")
        sent.append(time.monotonic())

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(request())
            await asyncio.sleep(0.15)
            time.sleep(0.6)  # noqa: ASYNC251 # the process is held up, event loop and all

    asyncio.run(work())

    after_it = sorted(sent)[-4:]
    assert after_it[-1] - after_it[0] > 0.15, "four requests need three turns"
