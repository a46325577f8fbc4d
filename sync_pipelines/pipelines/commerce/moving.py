"""What moved in a system since it was read last, for systems that can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Target


class Changing(Protocol):
    """A side that yields what changed."""

    def changed(self, since: datetime, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records that were written to since a moment of the system's time."""
        ...


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved in a system.

    Attributes:
        keys: natural keys to look at.
        records: what was read on the way; ``None`` where they are still to be looked up.
        complete: nothing was missed; otherwise everything has to be read.
    """

    keys: Sequence[str]
    records: Sequence[Record] | None = None
    complete: bool = True

    @property
    def nothing(self) -> bool:
        """True when nothing has to be looked at."""
        return not self.keys and not self.records


WhatMoved = Callable[[datetime], Awaitable[Moved]]


def by_records(side: Changing) -> WhatMoved:
    """Return how a side is asked that yields the changed records themselves."""

    async def moved(since: datetime) -> Moved:
        sweep = Sweep()
        records = [record async for page in side.changed(since, sweep) for record in page]
        keys = list(dict.fromkeys(record.natural_key for record in records if record.natural_key))
        return Moved(keys, records, complete=not sweep.gaps)

    return moved


def by_keys(touched: Callable[[datetime], Awaitable[Sequence[str]]]) -> WhatMoved:
    """Return how a side is asked that names what is to be looked at."""

    async def moved(since: datetime) -> Moved:
        return Moved(list(dict.fromkeys(await touched(since))))

    return moved


@dataclass(frozen=True, slots=True)
class AsRead:
    """A side whose records were read a moment ago: looking at them takes no further request."""

    side: Target
    records: Sequence[Record]

    def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record of the side."""
        return self.side.sweep(sweep)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield what was read."""
        sweep.seen += len(self.records)
        yield self.records

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every record with this natural key, read from the peer now."""
        return await self.side.find(natural_key)

    async def read(self, right_key: str) -> Record | None:
        """Return one record, read from the peer now."""
        return await self.side.read(right_key)

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a record."""
        return await self.side.create(natural_key, content)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring fields to what is wanted."""
        await self.side.write(current, content, fields)

    async def retire(self, current: Record) -> None:
        """Take a record out of service."""
        await self.side.retire(current)
