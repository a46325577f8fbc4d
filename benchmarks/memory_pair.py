"""A pair whose sides are made up as they are read: any number of records, none of them kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from benchmarks import data
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Pair, Target


class Listing:
    """The records of :mod:`benchmarks.data`; with a prefix they have keys of their own, as a target's have."""

    def __init__(self, count: int, prefix: str = "") -> None:
        self._count = count
        self._prefix = prefix

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record."""
        sweep.identity, sweep.declared = "bench", self._count
        for page in data.pages(self._count):
            sweep.seen += len(page)
            yield [Record(self._prefix + row["sku"], row["sku"], row) for row in page]

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Not part of the benchmarks."""
        raise NotImplementedError
        yield []

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Not part of the benchmarks."""
        raise NotImplementedError

    async def read(self, right_key: str) -> Record | None:
        """Not part of the benchmarks."""
        raise NotImplementedError

    async def create(self, natural_key: str, content: Content) -> str:
        """Not part of the benchmarks."""
        raise NotImplementedError

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Not part of the benchmarks."""
        raise NotImplementedError

    async def retire(self, current: Record) -> None:
        """Not part of the benchmarks."""
        raise NotImplementedError


class Nothing(Listing):
    """An empty target."""

    def __init__(self) -> None:
        super().__init__(0)


def pair(left: Listing, right: Target, **policies: Any) -> Pair:
    """The two sides with no policy but those given."""
    return Pair(name="bench", scope="bench", left=left, right=right, peers=("left", "right"), **policies)
