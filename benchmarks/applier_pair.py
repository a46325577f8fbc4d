"""The pair of the applier's benchmark: records in memory on the left, the benchmark's peer on the right."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Pair, Target
from sync_pipelines.systems.transport import Transport

FIELDS = 8


class Source:
    """Made-up records of 8 fields; ``version`` is written into one of them."""

    def __init__(self, count: int, prefix: str = "k") -> None:
        self.keys = [f"{prefix}{number:06}" for number in range(count)]
        self.version = 0

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record."""
        sweep.identity, sweep.declared = "source", len(self.keys)
        for start in range(0, len(self.keys), 1000):
            page = [Record(key, key, self._content(key)) for key in self.keys[start : start + 1000]]
            sweep.seen += len(page)
            yield page

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records asked for."""
        sweep.identity = "source"
        yield [Record(key, key, self._content(key)) for key in natural_keys]

    def _content(self, key: str) -> Content:
        fixed = {f"field_{number}": f"value {number} of {key}" for number in range(FIELDS - 1)}
        return {**fixed, "version": self.version}


class BenchTarget(ABC):
    """What both ways to the benchmark's peer have in common."""

    @abstractmethod
    async def all(self) -> list[Record]:
        """List every record."""

    @abstractmethod
    async def find(self, natural_key: str) -> Sequence[Record]:
        """Search by name."""

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record."""
        records = await self.all()
        sweep.identity, sweep.declared, sweep.seen = "peer", len(records), len(records)
        yield records

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records asked for."""
        sweep.identity = "peer"
        for natural_key in natural_keys:
            yield await self.find(natural_key)

    async def retire(self, current: Record) -> None:
        """Not part of the benchmark."""
        raise NotImplementedError


class HttpTarget(BenchTarget):
    """The benchmark's peer over a real transport. An update costs three requests, and so does a create."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[Record]:
        """List every record."""
        answer = await self._transport.request("GET", "/records")
        return [_record(document) for document in answer.json()]

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Search by name."""
        answer = await self._transport.request("GET", "/records", params={"name": natural_key})
        return [_record(document) for document in answer.json()]

    async def read(self, right_key: str) -> Record | None:
        """Read one record."""
        answer = await self._transport.request("GET", f"/records/{right_key}")
        return None if answer.status_code == 404 else _record(answer.json())

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a record, all fields at once."""
        answer = await self._transport.request("POST", "/records", json={"name": natural_key, "content": dict(content)})
        return str(answer.json()["key"])

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write fields."""
        await self._transport.request("PATCH", f"/records/{current.key}", json={name: content[name] for name in fields})


class MemoryTarget(BenchTarget):
    """The same peer without HTTP: every call sleeps for 5 ms. What is left is the engine's own share."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._records: dict[str, Record] = {}
        self._names: dict[str, str] = {}
        self._numbers = itertools.count(1)

    async def all(self) -> list[Record]:
        """List every record."""
        return list(self._records.values())

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Search by name."""
        await asyncio.sleep(self._latency)
        key = self._names.get(natural_key)
        return [self._records[key]] if key else []

    async def read(self, right_key: str) -> Record | None:
        """Read one record."""
        await asyncio.sleep(self._latency)
        return self._records.get(right_key)

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a record, all fields at once."""
        await asyncio.sleep(self._latency)
        key = self._names[natural_key] = f"r{next(self._numbers)}"
        self._records[key] = Record(key, natural_key, content)
        return key

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write fields."""
        await asyncio.sleep(self._latency)
        changed = {**self._records[current.key].content, **{name: content[name] for name in fields}}
        self._records[current.key] = Record(current.key, current.natural_key, changed)


def pair(left: Source, right: Target, *, scope: str = "bench", in_flight: int = 8) -> Pair:
    """Connect the two sides."""
    return Pair(name="bench", scope=scope, left=left, right=right, peers=("source", "peer"), in_flight=in_flight)


def _record(document: dict[str, Any]) -> Record:
    return Record(document["key"], document["name"], document["content"])
