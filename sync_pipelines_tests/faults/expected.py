"""What a run must come to while a fault is on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sync_pipelines.core.errors import FailureKind


class Outcome(StrEnum):
    """What a run comes to while the fault is on. The values stand in the published table."""

    STOPS = "the run stops before anything is planned"
    BREAKS_OFF = "the run stops in the middle of its plan; no record is blamed"
    UNSEALED = "the snapshot is not sealed: nothing is applied"
    HELD = "the guard holds the plan for a person"
    REFUSED = "the record is dead-lettered with the reason, the others go on"
    FAILS = "the record fails, the others go on"
    UNHARMED = "everything is carried out"


@dataclass(frozen=True)
class Expected:
    """What one run must come to while a fault is on.

    Attributes:
        outcome: how it ends.
        kinds: how the failure may be classified.
        told: regular expression that the error, or the failed record's, must match.
        failed: number of records that fail.
        letters: number of records that are given up at once.
        requests: most requests that the disturbed peer may see in the run; ``None`` for what its pair names.
        again: most requests that it may see in a run right after; ``None``: there is none.
        retry_in: bounds in seconds of when the failed record is tried again.
        seconds: a run that takes longer waited for something that it should not have waited for.
    """

    outcome: Outcome
    kinds: frozenset[FailureKind] = frozenset()
    told: str = ""
    failed: int = 0
    letters: int = 0
    requests: int | None = None
    again: int | None = None
    retry_in: tuple[float, float] | None = None
    seconds: float = 60.0
