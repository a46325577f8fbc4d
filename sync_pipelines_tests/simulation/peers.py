"""The two peers of a random world: they take their time, fail as the weather says, and watch what is done to them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Protocol

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines_tests.engine.worlds import MemorySource
from sync_pipelines_tests.simulation.process import PROCESS, Process
from sync_pipelines_tests.simulation.weather import ListingFault, Weather, WriteFault

PAGE = 4
LATEST = 55.0
"""Seconds after a request was sent in which it may still take effect; less than the pair's quiet time."""


@dataclass(frozen=True)
class Request:
    """A request to write, as the target gets it.

    Attributes:
        process: who sent it.
        looked_at: what the sender was last shown of the record, ``None`` when nothing was found.
    """

    process: Process
    operation: str
    natural_key: str
    current: Record | None
    content: Content
    fields: tuple[str, ...]
    looked_at: Record | None


class Witness(Protocol):
    """Who is told what happens at the peers."""

    def tell(self, what: str) -> None:
        """Something happened."""
        ...

    def judge(self, request: Request) -> None:
        """A request to write is sent."""
        ...

    def broken(self, promise: str) -> None:
        """A promise of the engine is broken."""
        ...

    def somebody_edits(self, right_key: str) -> None:
        """Let a person edit a record at the target."""
        ...


class Source(MemorySource):
    """A side that can be read, page by page, in bad weather."""

    def __init__(self, identity: str, weather: Weather, witness: Witness) -> None:
        super().__init__(identity)
        self.weather = weather
        self.witness = witness

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all records as they were at the start, in pages."""
        fault = self.weather.listing_fault()
        if fault:
            self._tell(f"listing of {self.identity}: {fault}")
        rows = [self.rows[key] for key in sorted(self.rows)]
        sweep.identity = self.identity
        sweep.declared = len(rows)
        match fault:
            case ListingFault.EMPTY:
                rows, sweep.declared = [], 0
            case ListingFault.OTHER_IDENTITY:
                sweep.identity = "somebody else"
            case ListingFault.SHORT:
                rows = rows[: len(rows) // 2]
                sweep.gaps.append("a page was missing")
            case ListingFault.GAPS:
                rows = rows[1:]
                sweep.declared = None
                sweep.gaps.append("the first row could not be read")
            case ListingFault.WRONG_TOTAL:
                sweep.declared += 3
            case ListingFault.TWICE:
                rows = rows + rows[:2]
        for start in range(0, len(rows), PAGE):
            await asyncio.sleep(self.weather.delay())
            page = rows[start : start + PAGE]
            sweep.seen += len(page)
            yield page
            if fault is ListingFault.FAILS:
                raise PeerError(self.identity, FailureKind.TRANSIENT, "the connection was reset")

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records with these natural keys."""
        sweep.identity = self.identity
        await asyncio.sleep(self.weather.delay())
        self._fail_perhaps("look")
        yield [row for _, row in sorted(self.rows.items()) if row.natural_key in natural_keys]

    def _fail_perhaps(self, operation: str) -> None:
        if kind := self.weather.read_failure():
            self._tell(f"{operation} at {self.identity}: {kind}")
            retry_after = 7.0 if kind is FailureKind.RATE_LIMITED else None
            raise PeerError(self.identity, kind, "refused", retry_after=retry_after)

    def _tell(self, what: str) -> None:
        process = PROCESS.get()
        self.witness.tell(f"{process.name if process else 'the world'}: {what}")


@dataclass
class _Fate:
    """When a request takes effect and when it is answered, in seconds from now."""

    effect: float | None
    answer: float
    error: PeerError | None = None
    edits: list[float] = field(default_factory=list)


class Target(Source):
    """A side that can be written. What was sent takes effect whether or not its sender lives to see it.

    Attributes:
        made: what was created through the engine: key -> natural key.
        sent: requests to write, whatever came of them.
    """

    def __init__(self, identity: str, weather: Weather, witness: Witness) -> None:
        super().__init__(identity, weather, witness)
        self.made: dict[str, str] = {}
        self.sent = 0
        self._numbers = itertools.count(1)
        self._busy: set[tuple[str, str]] = set()
        self._shown: dict[tuple[str, str], Record] = {}

    def fresh_key(self) -> str:
        """Return a key that was never used."""
        return f"r{next(self._numbers):02}"

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every record with this natural key, as it was while the request travelled."""
        await asyncio.sleep(self.weather.delay())
        self._fail_perhaps(f"find {natural_key}")
        found = [row for _, row in sorted(self.rows.items()) if row.natural_key == natural_key]
        for row in found:
            self._show(row)
        await asyncio.sleep(self.weather.delay())
        return found

    async def read(self, right_key: str) -> Record | None:
        """Return one record, as it was while the request travelled."""
        await asyncio.sleep(self.weather.delay())
        self._fail_perhaps(f"read {right_key}")
        if self.weather.somebody_is_quick():
            self.witness.somebody_edits(right_key)
        row = self.rows.get(right_key)
        if row is not None:
            self._show(row)
        await asyncio.sleep(self.weather.delay())
        return row

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a draft: only the name is stored, the other fields need a write."""
        key = self.fresh_key()
        first = {name: content[name] for name in content if name == "name"}

        def effect() -> None:
            twins = [row.key for row in self.rows.values() if self.made.get(row.key) == row.natural_key == natural_key]
            if twins:
                self.witness.broken(f"{natural_key} was created twice: {twins[0]} and {key}")
            self.rows[key] = Record(key, natural_key, {"state": "draft"} | first)
            self.made[key] = natural_key

        await self._request("create", natural_key, None, content, (), effect)
        return key

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write the named fields."""
        written = {name: content[name] for name in fields}

        def effect() -> None:
            row = self.rows.get(current.key)
            if row is None:
                raise PeerError(self.identity, FailureKind.GONE, "no such record", status=404)
            self.replace(current.key, content={**row.content, **written})

        await self._request("write", current.natural_key, current, content, tuple(fields), effect)

    async def retire(self, current: Record) -> None:
        """Archive a record."""

        def effect() -> None:
            row = self.rows.get(current.key)
            if row is None:
                raise PeerError(self.identity, FailureKind.GONE, "no such record", status=404)
            self.replace(current.key, content={**row.content, "state": "archived"})

        await self._request("retire", current.natural_key, current, {}, ("state",), effect)

    async def _request(
        self,
        operation: str,
        natural_key: str,
        current: Record | None,
        content: Content,
        fields: tuple[str, ...],
        effect: Callable[[], None],
    ) -> None:
        process = PROCESS.get()
        assert process is not None
        process.meet("before call")
        subject = (process.name, natural_key if current is None else current.key)
        if subject in self._busy:
            self.witness.broken(f"{process.name} sent two requests for {subject[1]} at once")
        shown = None if current is None else self._shown.get((process.name, current.key))
        self.witness.judge(Request(process, operation, natural_key, current, content, fields, shown))
        self.sent += 1
        fate = self._fate(f"{process.name}: {operation} {natural_key}{' ' + ','.join(fields) if fields else ''}")
        answered = self._travel(fate, effect, current)
        self._busy.add(subject)
        try:
            process.meet("during call")
            await answered
            process.meet("after call")
        finally:
            self._busy.discard(subject)

    def _travel(self, fate: _Fate, effect: Callable[[], None], current: Record | None) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        failures: list[PeerError] = [] if fate.error is None else [fate.error]

        def take_effect() -> None:
            try:
                effect()
            except PeerError as error:
                failures.append(error)

        def answer() -> None:
            if answered.done():
                return
            if failures:
                answered.set_exception(failures[0])
            else:
                answered.set_result(None)

        # The peer is no part of the process that calls it: hence a context without one.
        if current is not None:
            for delay in fate.edits:
                loop.call_later(delay, self.witness.somebody_edits, current.key, context=Context())
        if fate.effect is not None:
            loop.call_later(fate.effect, take_effect, context=Context())
        loop.call_later(fate.answer, answer, context=Context())
        return answered

    def _fate(self, what: str) -> _Fate:
        fault = self.weather.write_fault()
        there, back = self.weather.delay(), self.weather.delay()
        arrived, answered = there, there + back
        self.witness.tell(f"{what}{f' ({fault})' if fault else ''}")
        ambiguous = PeerError(self.identity, FailureKind.AMBIGUOUS, str(fault))
        match fault:
            case WriteFault.REFUSED:
                kind = self.weather.refusal()
                return _Fate(None, answered, PeerError(self.identity, kind, f"refused ({kind})", retry_after=3.0))
            case WriteFault.BREAKER_OPEN:
                raise PeerUnavailable(self.identity, FailureKind.TRANSIENT, "the circuit breaker is open")
            case WriteFault.LOST_REPLY:
                return _Fate(arrived, answered, ambiguous)
            case WriteFault.ROLLED_BACK:
                return _Fate(None, answered, ambiguous)
            case WriteFault.IGNORED:
                return _Fate(None, answered)
            case WriteFault.LATE:
                return _Fate(answered + self.weather.random.random() * (LATEST - answered), answered, ambiguous)
            case WriteFault.EDIT_BEFORE:
                return _Fate(arrived, answered, edits=[arrived * 0.9])
            case WriteFault.EDIT_AFTER:
                return _Fate(arrived, answered, edits=[arrived + back * 0.1])
            case WriteFault.SLOW:
                return _Fate(arrived + 15, answered + 20)
        return _Fate(arrived, answered)

    def _show(self, row: Record) -> None:
        process = PROCESS.get()
        if process is not None:
            self._shown[process.name, row.key] = row
