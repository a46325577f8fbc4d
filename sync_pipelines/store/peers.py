"""Token bucket and circuit breaker of each external system, shared by all runs through PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.store.statements import statement

LONGEST_WAIT = 60.0
"""Seconds that a request may wait for its turn; a run does not sit through a longer pause while it holds its scope."""


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


class PeerGate:
    """Asks PostgreSQL before every request; fits the ``Throttle`` port of ``systems.transport``.

    Arguments:
        limits: how the peer is to be treated.
        server: which server it is, e.g. ``"waldur.example.com"``; each has a bucket and a breaker of its own.
    """

    def __init__(self, engine: Engine, limits: PeerLimits, server: str = "") -> None:
        self._engine = engine
        self._limits = limits
        self._server = server
        self._healthy = False

    async def admit(self, peer: str) -> None:
        """Wait for the request's turn.

        Raises:
            PeerUnavailable: the breaker is open, or the turn is further away than the longest wait; it says for how
                long. Then no turn was taken.
        """
        while True:
            turn = await asyncio.to_thread(self._reserve, peer)
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
            await asyncio.sleep(turn.wait)
            # Who had a turn when the peer asked for a pause queues up again behind it.
            if not await asyncio.to_thread(self._paused, peer):
                return

    async def succeeded(self, peer: str) -> None:
        """Close the breaker."""
        if not self._healthy:
            await asyncio.to_thread(
                self._execute,
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
        await asyncio.to_thread(
            self._execute,
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
        await asyncio.to_thread(
            self._execute,
            "INSERT INTO sync.peer AS p (name, tokens, refilled_at, blocked_until) VALUES (:peer, :burst, "
            "clock_timestamp(), clock_timestamp() + make_interval(secs => :seconds)) ON CONFLICT (name) DO UPDATE "
            "SET blocked_until = greatest(p.blocked_until, EXCLUDED.blocked_until)",
            peer=self._row(peer),
            burst=self._limits.burst,
            seconds=seconds,
        )

    def _row(self, peer: str) -> str:
        return f"{peer} {self._server}" if self._server else peer

    def _reserve(self, peer: str) -> _Turn:
        parameters = {
            "peer": self._row(peer),
            "rate": self._limits.rate,
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

    def _execute(self, sql: str, **parameters: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(sql), parameters)
