"""Asking a canister again when a question fails in passing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.retry import Retry, RetryPolicy, after_failure
from sync_pipelines.systems.internet_computer import PastTheEnd

T = TypeVar("T")

_PASSING = frozenset({FailureKind.TRANSIENT, FailureKind.RATE_LIMITED})


@dataclass(frozen=True)
class Asking:
    """How patiently a canister is asked.

    Attributes:
        retry: how often and how late a question that failed in passing is asked again, after the retries of the
            single request.
        sleep: how to wait; given by tests.
    """

    retry: RetryPolicy
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def answer(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask, and ask again as long as that may help.

        Raises:
            PeerError: what was wrong the last time.
        """
        failures = 0
        while True:
            try:
                return await question()
            except (PastTheEnd, PeerUnavailable):
                raise
            except PeerError as error:
                failures += 1
                if error.kind not in _PASSING:
                    raise
                step = after_failure(error.kind, failures, self.retry, retry_after=error.retry_after)
                if not isinstance(step, Retry) or step.delay.total_seconds() > self.retry.cap:
                    raise
                await self.sleep(step.delay.total_seconds())
