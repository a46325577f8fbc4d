"""Token bucket and circuit breaker of each external system, shared by all runs through PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.store.outage import FIRST_PAUSE, LONGEST_PAUSE, OUTAGE_SECONDS, OUTAGES, unavailable
from sync_pipelines.store.statements import statement, text

T = TypeVar("T")
_Asked = tuple[asyncio.AbstractEventLoop, str]
"""A peer, and the event loop that asks about it: the answer to a question can be awaited by the loop that asked it."""

LONGEST_WAIT = 60.0
"""Seconds that a request may wait for its turn; a run does not sit through a longer pause while it holds its scope."""


PACE = 0.98
"""Share of the rate that is used: requests do not arrive exactly when they are sent, and the peer counts arrivals."""

FREE_SECONDS = 0.05
"""Seconds for which the answer holds that a healthy peer is free. Another process's failure is heard of so much later,
as it is by a request on its way. To ask anew for each request would cost as much as the request itself."""

MOST_LOST_TURNS = 3
"""Turns that one request may lose: on a machine that is always late it would wait for ever."""


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """How a peer is to be treated.

    Attributes:
        rate: requests per second over all runs, ``None`` for no limit.
        burst: requests that may be sent at once after a pause.
        failure_threshold: failures in a row that open the breaker.
        open_seconds: how long the breaker stays open before one request probes the peer.
        longest_wait: seconds that a request may wait for its turn; one that would wait longer is refused.
    """

    rate: float | None = None
    burst: float = 1.0
    failure_threshold: int = 5
    open_seconds: float = 30.0
    longest_wait: float = LONGEST_WAIT


@dataclass(frozen=True, slots=True)
class _Turn:
    """Answer to one request: seconds to wait, seconds for which the breaker stays open, whether a token was taken."""

    wait: float
    closed_for: float
    admitted: bool

    @property
    def is_free(self) -> bool:
        """Whether the request may be sent at once."""
        return self.admitted and self.wait <= 0 and self.closed_for <= 0


_FREE = _Turn(0.0, 0.0, True)


class PeerGate:
    """Asks PostgreSQL before requests; fits the ``Throttle`` port of ``systems.transport``.

    Under a rate every request asks for a turn of its own. Without one the answer for a healthy peer is used again for a
    moment, unless this process meets a failure or a wish for a pause.

    Arguments:
        limits: how the peer is to be treated.
        server: which server it is, e.g. ``"waldur.example.com"``; each has a bucket and a breaker of its own.
    """

    def __init__(self, engine: Engine, limits: PeerLimits, server: str = "") -> None:
        self._engine = engine
        self._limits = limits
        self._server = server
        self._healthy = False
        self._free_until: dict[str, float] = {}
        self._asking: dict[_Asked, asyncio.Task[_Turn]] = {}
        self._next: dict[_Asked, asyncio.Task[_Turn]] = {}

    async def admit(self, peer: str) -> None:
        """Wait for the request's turn.

        Raises:
            PeerUnavailable: the breaker is open, or the turn is further away than the longest wait; it says for how
                long. Then no turn was taken.
        """
        lost = 0
        while True:
            turn = await self._turn(peer)
            if turn.closed_for > 0:
                raise PeerUnavailable(
                    peer,
                    FailureKind.TRANSIENT,
                    f"the circuit breaker is open after {self._limits.failure_threshold} failures in a row; "
                    f"the next attempt is made in {turn.closed_for:.0f} s",
                    retry_after=turn.closed_for,
                )
            if not turn.admitted:
                raise PeerUnavailable(
                    peer,
                    FailureKind.RATE_LIMITED,
                    f"no request may be sent for {turn.wait:.0f} s (the peer asked for a pause, or its rate limit is "
                    "far exceeded); the next run goes on",
                    retry_after=turn.wait,
                )
            if turn.wait <= 0:
                return
            due = time.monotonic() + turn.wait
            await asyncio.sleep(turn.wait)
            missed = self._missed(time.monotonic() - due)
            # Who had a turn when the peer asked for a pause queues up again behind it.
            if not await self._ask(partial(self._paused, peer)) and not (missed and lost < MOST_LOST_TURNS):
                return
            lost += missed

    async def _turn(self, peer: str) -> _Turn:
        """Ask for a turn. Without a rate none is taken: all who wait share a question asked after they came."""
        if self._limits.rate is not None or not self._healthy:
            return await self._ask(partial(self._reserve, peer))
        if time.monotonic() < self._free_until.get(peer, 0.0):
            return _FREE
        key = (asyncio.get_running_loop(), peer)
        asked = self._next.get(key)
        is_own = asked is None
        if asked is None:
            asked = self._next[key] = asyncio.create_task(self._ask_after(key, self._asking.get(key)))
            asked.add_done_callback(partial(self._answered, key))
        turn = await asyncio.shield(asked)
        if is_own and turn.is_free and self._healthy:
            self._free_until[peer] = time.monotonic() + FREE_SECONDS
        if is_own or (turn.is_free and self._healthy):
            return turn
        # One alone may try a peer that fails.
        return await self._ask(partial(self._reserve, peer))

    async def _ask_after(self, key: _Asked, earlier: asyncio.Task[_Turn] | None) -> _Turn:
        if earlier is not None:
            await asyncio.wait([earlier])
        # From here on a caller is too late: the answer may be older than its call.
        self._asking[key] = self._next.pop(key)
        return await self._ask(partial(self._reserve, key[1]))

    def _answered(self, key: _Asked, question: asyncio.Task[_Turn]) -> None:
        # What is kept would keep its event loop, too.
        for questions in (self._asking, self._next):
            if questions.get(key) is question:
                del questions[key]
        if not question.cancelled():
            # Nobody may be left to hear of a failure.
            question.exception()

    async def succeeded(self, peer: str) -> None:
        """Close the breaker."""
        if not self._healthy:
            await self._tell(
                "UPDATE sync.peer SET failures = 0, opened_at = NULL, probing_until = NULL "
                "WHERE name = :peer AND failures > 0",
                peer=self._row(peer),
            )
            self._healthy = True

    async def failed(self, peer: str, error: PeerError) -> None:
        """Count a failure of the peer itself; refusals of single requests do not count."""
        if error.kind not in (FailureKind.TRANSIENT, FailureKind.AMBIGUOUS):
            return
        self._healthy = False
        self._free_until.pop(peer, None)
        await self._tell(
            "INSERT INTO sync.peer AS p (name, tokens, refilled_at, failures, opened_at) VALUES (:peer, :burst, "
            "clock_timestamp(), 1, CASE WHEN :threshold <= 1 THEN clock_timestamp() END) "
            "ON CONFLICT (name) DO UPDATE SET "
            "failures = p.failures + 1, probing_until = NULL, "
            "opened_at = CASE WHEN p.failures + 1 >= :threshold THEN clock_timestamp() ELSE p.opened_at END",
            peer=self._row(peer),
            burst=self._limits.burst,
            threshold=self._limits.failure_threshold,
        )

    async def wait_until(self, peer: str, seconds: float) -> None:
        """Hold every run back for the time the peer asked for (Retry-After)."""
        await self._tell(
            "INSERT INTO sync.peer AS p (name, tokens, refilled_at, blocked_until) VALUES (:peer, :burst, "
            "clock_timestamp(), clock_timestamp() + make_interval(secs => :seconds)) ON CONFLICT (name) DO UPDATE "
            "SET blocked_until = greatest(p.blocked_until, EXCLUDED.blocked_until)",
            peer=self._row(peer),
            burst=self._limits.burst,
            seconds=seconds,
        )
        self._free_until.pop(peer, None)

    async def _tell(self, sql: str, **parameters: object) -> None:
        def execute() -> None:
            with self._engine.begin() as connection:
                connection.execute(text(sql), parameters)

        await self._ask(execute)

    async def _ask(self, question: Callable[[], T]) -> T:
        """Ask the database, and wait for it while it restarts: a turn taken twice only costs time.

        Raises:
            DatabaseUnavailable: it did not come back, or has no connection to spare.
        """
        deadline = time.monotonic() + OUTAGE_SECONDS
        pause = FIRST_PAUSE
        while True:
            try:
                return await asyncio.to_thread(question)
            except OUTAGES as error:
                if isinstance(error, PoolTimeout) or time.monotonic() + pause > deadline:
                    raise unavailable(self._engine, error) from None
            # Not in the thread: there are only a few of them, and the journal needs one to reconnect.
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _missed(self, late: float) -> bool:
        # A process that was held up wakes to several turns that are over. Taken all at once they would exceed the rate,
        # by more than the burst when the bucket gives that out as well; so they are lost.
        return self._limits.rate is not None and late > (1 + self._limits.burst / 2) / self._limits.rate

    def _row(self, peer: str) -> str:
        return f"{peer} {self._server}" if self._server else peer

    def _reserve(self, peer: str) -> _Turn:
        parameters = {
            "peer": self._row(peer),
            "rate": None if self._limits.rate is None else self._limits.rate * PACE,
            "burst": self._limits.burst,
            "threshold": self._limits.failure_threshold,
            "open_seconds": self._limits.open_seconds,
            "longest_wait": self._limits.longest_wait,
        }
        with self._engine.begin() as connection:
            row = connection.execute(text(statement("peer_admit")), parameters).one_or_none()
            if row is None:
                connection.execute(
                    text(
                        "INSERT INTO sync.peer (name, tokens, refilled_at) VALUES (:peer, :burst, clock_timestamp()) "
                        "ON CONFLICT (name) DO NOTHING"
                    ),
                    parameters,
                )
                row = connection.execute(text(statement("peer_admit")), parameters).one()
        self._healthy = row.failures == 0
        return _Turn(float(row.wait), float(row.closed_for), row.admitted)

    def _paused(self, peer: str) -> bool:
        with self._engine.begin() as connection:
            return bool(
                connection.execute(
                    text("SELECT blocked_until > clock_timestamp() FROM sync.peer WHERE name = :peer"),
                    {"peer": self._row(peer)},
                ).scalar()
            )
