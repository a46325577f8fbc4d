"""Conflicts: what keeps a record of two systems from agreeing, and who is to settle it.

The kinds, the decision table and the waits are those of the sync orchestrator's guide. What it leaves open is decided
here: which kind a record has that fits several, and what accepting and rejecting mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong, in the order in which a record that fits several is told."""

    AUTH_ERROR = "AuthError"
    """The system refuses our credentials. Its batch stops: every further call may lock the account."""
    RETRY_EXHAUSTED = "RetryExhausted"
    """It failed for something that passes, as often as is allowed."""
    DUPLICATE_KEY = "DuplicateKey"
    """Several records of one system claim to be the same, or the key is taken by another one."""
    VALIDATION_ERROR = "ValidationError"
    """A system refuses the values, or they cannot be mapped."""
    DATA_MISMATCH = "DataMismatch"
    """Both systems changed a field differently, and nobody owns it."""
    MANUAL_REVIEW = "ManualReviewRequired"
    """Deleted here and changed there: no value of a field can settle that."""


class Strategy(StrEnum):
    """What is done about a conflict without being asked."""

    AUTO_RETRY = "AutoRetry"
    MANUAL = "Manual"
    SKIP = "Skip"


class Resolution(StrEnum):
    """How a person settles a conflict."""

    ACCEPT = "accept"
    """The source's values stand: what the shop says."""
    REJECT = "reject"
    """The target's values stand: what the ERP says."""
    CUSTOM = "custom"
    """The given values stand, in both systems."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the decision table; ``retries_left`` narrows it to records that may still be tried again."""

    kind: Kind
    strategy: Strategy
    retries_left: bool = False


DECISIONS: tuple[Row, ...] = (
    Row(Kind.DATA_MISMATCH, Strategy.AUTO_RETRY, retries_left=True),
    Row(Kind.DATA_MISMATCH, Strategy.MANUAL),
    Row(Kind.VALIDATION_ERROR, Strategy.MANUAL),
    Row(Kind.AUTH_ERROR, Strategy.MANUAL),
    Row(Kind.DUPLICATE_KEY, Strategy.SKIP),
    Row(Kind.RETRY_EXHAUSTED, Strategy.MANUAL),
    Row(Kind.MANUAL_REVIEW, Strategy.MANUAL),
)
"""The first row that fits decides."""

MAX_RETRIES, MOST_RETRIES = 3, 5
"""Retries when a sync says nothing, and the most that one may ask for."""
FIRST_WAIT, LONGEST_WAIT, JITTER = 1.0, 16.0, 1.0
"""Seconds."""


def strategy_for(kind: Kind, retries: int, max_retries: int = MAX_RETRIES) -> Strategy:
    """Return what is done about a conflict.

    Arguments:
        retries: how often it was tried again already, from 0.
        max_retries: how often that may happen.
    """
    return next(
        row.strategy for row in DECISIONS if row.kind is kind and (not row.retries_left or retries < max_retries)
    )


def wait_before(retry: int, chance: float) -> timedelta:
    """Return the wait before a retry: 1, 2, 4, 8, 16 s and not more, and up to a second that keeps many apart.

    Arguments:
        retry: its number, from 0.
        chance: a random number from 0 to 1; nothing here throws dice by itself.

    Raises:
        ValueError: a number out of its range.
    """
    if retry < 0 or not 0 <= chance <= 1:
        raise ValueError(f"a retry counts from 0 and a chance lies between 0 and 1, got {retry} and {chance}")
    return timedelta(seconds=min(FIRST_WAIT * 2.0 ** min(retry, 64), LONGEST_WAIT) + JITTER * chance)


def foremost(kinds: Iterable[Kind]) -> Kind | None:
    """Return the kind that a record which fits several is told as, ``None`` for one that fits none."""
    found = set(kinds)
    return next((kind for kind in Kind if kind in found), None)
