"""The pace at which a plan is carried out: in batches, with pauses between them, and told of as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sync_pipelines.engine.context import Run


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch came to.

    Attributes:
        number: which one of its plan, from 1.
        size: changes that were tried.
        outcomes: number of changes per outcome.
        error: why the run stops here, if it does.
    """

    number: int
    size: int
    outcomes: Mapping[str, int]
    error: str | None = None


class Pace(Protocol):
    """Who sets the pace. While it waits it has to look at ``run.stop``: nobody else ends its wait."""

    @property
    def size(self) -> int:
        """Changes in a batch."""
        ...

    async def before(self, run: Run, number: int) -> None:
        """Is awaited before each batch, while nothing is in hand."""
        ...

    async def turn(self, run: Run) -> None:
        """Is awaited before each change is taken up."""
        ...

    async def after(self, run: Run, batch: Batch) -> None:
        """Is awaited after each batch, once everything in it is settled."""
        ...


def since(before: Counter[str], now: Counter[str]) -> dict[str, int]:
    """Return what was counted in between."""
    return dict(now - before)
