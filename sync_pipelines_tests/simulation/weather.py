"""What goes wrong at the peers at a time: drawn from the seed, request by request."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sync_pipelines.core.errors import FailureKind

Fault = TypeVar("Fault")


class WriteFault(StrEnum):
    """What may become of a request to write."""

    REFUSED = "refused"
    BREAKER_OPEN = "breaker open"
    LOST_REPLY = "lost reply"
    ROLLED_BACK = "rolled back"
    IGNORED = "ignored"
    LATE = "late commit"
    EDIT_BEFORE = "edited just before"
    EDIT_AFTER = "edited just after"
    SLOW = "slow"


class ListingFault(StrEnum):
    """What may be wrong with a listing."""

    FAILS = "fails"
    GAPS = "gaps"
    SHORT = "short"
    WRONG_TOTAL = "wrong total"
    TWICE = "rows twice"
    EMPTY = "empty"
    OTHER_IDENTITY = "other identity"


READ_FAILURES = (FailureKind.TRANSIENT, FailureKind.AUTH, FailureKind.RATE_LIMITED, FailureKind.PERMANENT)


@dataclass
class Weather:
    """How likely faults are at present.

    Attributes:
        writes, reads, listings: share of the requests that meet a fault, 0 to 1.
        slowness: longest time of a request in seconds.
    """

    random: random.Random
    writes: float = 0.0
    reads: float = 0.0
    listings: float = 0.0
    slowness: float = 0.2
    met: dict[str, int] = field(default_factory=dict)

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.writes = self.reads = self.listings = 0.0
        self.slowness = 0.2

    def change(self) -> None:
        """Let other things go wrong than so far."""
        self.writes = self.random.choice([0.0, 0.3, 0.6, 0.9])
        self.reads = self.random.choice([0.0, 0.0, 0.0, 0.2])
        self.listings = self.random.choice([0.0, 0.0, 0.1, 0.4])
        self.slowness = self.random.choice([0.0, 0.2, 5.0, 20.0])

    def delay(self) -> float:
        """Seconds that one leg of a request takes."""
        return self.random.random() * self.slowness

    def write_fault(self) -> WriteFault | None:
        """Draw the fate of a request to write."""
        return self._draw(self.writes, list(WriteFault))

    def listing_fault(self) -> ListingFault | None:
        """Draw the fate of a listing."""
        return self._draw(self.listings, list(ListingFault))

    def read_failure(self) -> FailureKind | None:
        """Draw the fate of a request for one record."""
        return self._draw(self.reads, list(READ_FAILURES))

    def somebody_is_quick(self) -> bool:
        """Draw whether a person edits a record right before it is looked at."""
        return self.random.random() < self.writes / 5

    def refusal(self) -> FailureKind:
        """Draw the kind of a refusal; a refused write surely had no effect."""
        kinds = [kind for kind in FailureKind if kind is not FailureKind.AMBIGUOUS]
        return self.random.choice(kinds)

    def _draw(self, share: float, faults: list[Fault]) -> Fault | None:
        # Both are drawn always: what follows in the story then depends less on the weather.
        lucky, fault = self.random.random() >= share, self.random.choice(faults)
        if lucky:
            return None
        self.met[str(fault)] = self.met.get(str(fault), 0) + 1
        return fault
