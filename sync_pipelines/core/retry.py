"""When a failed record is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sync_pipelines.core.errors import FailureKind


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff.

    Attributes:
        base: seconds before the first retry.
        cap: the longest wait in seconds.
        max_retries: retries after the first attempt; the failure after the last of them dead-letters the record.
    """

    base: float = 30.0
    cap: float = 3600.0
    max_retries: int = 5

    def delay(self, failures: int) -> timedelta:
        """Return the wait after the given number of failures in a row (1 or more): ``min(base * 2**(n-1), cap)``."""
        if failures < 1:
            raise ValueError(f"failures counts from 1, got {failures}")
        # The exponent is bounded first: 2.0 ** 1100 would overflow long after the cap decided.
        return timedelta(seconds=min(self.base * 2.0 ** min(failures - 1, 64), self.cap))


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after ``delay``."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Dead-letter the record."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Not the record's fault: leave it as failed, it costs no retry, and stop the run."""


def after_failure(
    kind: FailureKind, failures: int, policy: RetryPolicy, *, retry_after: float | None = None
) -> Retry | GiveUp | Pause:
    """Decide what follows a failed attempt.

    Arguments:
        kind: class of the failure.
        failures: failures in a row, this one included.
        policy: backoff and number of retries.
        retry_after: seconds the peer asked to wait; the wait is never shorter than that.
    """
    match kind:
        case FailureKind.PERMANENT:
            return GiveUp("refused for good")
        case FailureKind.AUTH:
            return Pause()
    if failures > policy.max_retries:
        return GiveUp(f"{failures} failures in a row")
    return Retry(max(policy.delay(failures), timedelta(seconds=retry_after or 0)))
