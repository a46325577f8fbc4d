"""Pulling one connection: what changed in each stream is stored page by page, and the watermark with it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable, RunStopped
from sync_pipelines.core.marketplace_port import Adapter, Page, RecordT, Watermark
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.engine.stopping import Stop, current_stop
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.marketplaces import streams
from sync_pipelines.store.marketplaces.pages import Stored, Write, prepared_orders, prepared_products, take_statistics

PAGES_AHEAD = 16
"""Pages that are read while earlier ones are stored; they bound the memory."""
ROWS_AT_ONCE = 20_000
"""Pages that wait are stored together up to so many records: a transaction for each would cost more than its rows."""
MANY, GROWTH = 500, 4
"""New records after which PostgreSQL is told how many there are, and so many times as many for the next time."""
_LONG = 7 * 86_400.0

Prepares = Callable[[Sequence[Page[RecordT]]], Write]


@dataclass
class StreamOutcome:
    """What pulling a stream came to.

    Attributes:
        stored: what was stored, also when the stream failed on the way.
        pages: how many were stored.
        watermark: the one to go on from next time; ``None`` when nothing was ever stored.
        waits: why the rest was left to the next run: the shared budget is used up. No failure.
        error: how it failed, in an operator's words.
        refused: whether the credentials were refused.
    """

    stream: Stream
    stored: Stored = field(default_factory=Stored)
    pages: int = 0
    watermark: Watermark | None = None
    waits: str | None = None
    error: str | None = None
    refused: bool = False
    seconds: float = 0.0


async def pull_stream(
    writer: FencedWriter, adapter: Adapter, connection_id: int, stream: Stream, log: logging.Logger
) -> StreamOutcome:
    """Store what changed since the stream's watermark. How it ended is noted with the stream.

    Raises:
        LeaseLost: another run has taken over.
        RunStopped: the run was asked to end; the pages that were read are stored.
        DatabaseUnavailable: the database cannot be used.
    """
    state = await in_thread(writer.transaction, lambda connection: streams.read(connection, connection_id, stream))
    outcome = StreamOutcome(stream, watermark=state.watermark)
    began = time.monotonic()
    try:
        if stream is Stream.ORDERS:
            orders = adapter.orders_since(state.watermark)
            await _Pull(writer, orders, _orders(connection_id), outcome).run()
        else:
            products = adapter.products_since(state.watermark)
            await _Pull(writer, products, _products(connection_id), outcome).run()
    except PeerError as error:
        _note_failure(outcome, error)
    outcome.seconds = time.monotonic() - began
    waits, failed = outcome.waits, outcome.error
    await in_thread(
        writer.transaction,
        lambda connection: streams.ended(connection, connection_id, stream, error=failed, waits=waits),
    )
    _tell(outcome, log)
    return outcome


async def pull_window(
    writer: FencedWriter, pages: AsyncIterator[Page[Any]], connection_id: int, log: logging.Logger
) -> StreamOutcome:
    """Store orders of some days again. The watermark stays where it is.

    Raises:
        as :func:`pull_stream`.
    """
    outcome = StreamOutcome(Stream.ORDERS)
    began = time.monotonic()
    try:
        await _Pull(writer, pages, _orders(connection_id, moves=False), outcome).run()
    except PeerError as error:
        _note_failure(outcome, error)
    outcome.seconds = time.monotonic() - began
    _tell(outcome, log)
    return outcome


def _orders(connection_id: int, *, moves: bool = True) -> Prepares[Any]:
    return lambda pages: prepared_orders(connection_id, pages, moves=moves)


def _products(connection_id: int) -> Prepares[Any]:
    return lambda pages: prepared_products(connection_id, pages)


def _note_failure(outcome: StreamOutcome, error: PeerError) -> None:
    if isinstance(error, PeerUnavailable) and error.kind is FailureKind.RATE_LIMITED:
        outcome.waits = str(error)
    else:
        outcome.error, outcome.refused = str(error), error.kind is FailureKind.AUTH


def _tell(outcome: StreamOutcome, log: logging.Logger) -> None:
    stored = outcome.stored
    log.info(
        "%s: %d pages, %d records, %d new, %d changed, %d deleted, %d item errors, %.1f s",
        *(outcome.stream.value, outcome.pages, stored.records, stored.created, stored.changed),
        *(stored.deleted, stored.errors, outcome.seconds),
    )
    for reason in stored.distrusted:
        log.warning("%s", reason)
    if outcome.waits:
        log.info("%s: the rest is left to the next run: %s", outcome.stream.value, outcome.waits)
    if outcome.error:
        log.warning("%s: %s", outcome.stream.value, outcome.error)


@dataclass(frozen=True, slots=True)
class _End:
    """Behind the last page: how the reading ended."""

    error: BaseException | None


@dataclass
class _Pull(Generic[RecordT]):
    """One stream on its way: pages are read and made into rows while the ones before them are stored."""

    writer: FencedWriter
    pages: AsyncIterator[Page[RecordT]]
    prepare: Prepares[RecordT]
    outcome: StreamOutcome
    stop: Stop = field(default_factory=current_stop)
    statistics_due: int = MANY
    writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        queue: asyncio.Queue[Page[RecordT] | _End] = asyncio.Queue(PAGES_AHEAD)
        with self.stop.finishing():
            reading = asyncio.create_task(self._read(queue))
            bell = asyncio.create_task(self.stop.within(_LONG))
            try:
                await self._store_all(queue, bell)
            finally:
                under_way = [task for task in (reading, bell, self.writing) if task is not None]
                for task in under_way:
                    task.cancel()
                await asyncio.wait(under_way)

    async def _read(self, queue: asyncio.Queue[Page[RecordT] | _End]) -> None:
        try:
            async with aclosing(self.pages) as pages:  # type: ignore[type-var]  # adapters are async generators
                async for page in pages:
                    await queue.put(page)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Told behind the pages that came before it: they are stored first.
            await queue.put(_End(error))
        else:
            await queue.put(_End(None))

    async def _store_all(self, queue: asyncio.Queue[Page[RecordT] | _End], bell: asyncio.Task[bool]) -> None:
        while True:
            first = await self._next(queue, bell)
            if first is None:
                await self._written()
                raise self._stopped()
            batch, end = _taken(first, queue)
            if batch:
                await self._store(batch)
            if end is not None:
                await self._written()
                if end.error is not None:
                    raise end.error
                return
            if self.stop.asked:
                await self._written()
                raise self._stopped()

    async def _next(
        self, queue: asyncio.Queue[Page[RecordT] | _End], bell: asyncio.Task[bool]
    ) -> Page[RecordT] | _End | None:
        """Return what was read next, ``None`` when the run is to stop. A write that fails ends the waiting."""
        following = asyncio.create_task(queue.get())
        try:
            while not following.done() and not bell.done():
                under_way = [task for task in (following, bell, self.writing) if task is not None]
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                if self.writing is not None and self.writing.done():
                    await self._written()
            return following.result() if following.done() else None
        finally:
            following.cancel()

    async def _store(self, batch: Sequence[Page[RecordT]]) -> None:
        """Begin to write pages once the ones before them are committed."""
        write = await in_thread(self.prepare, batch)
        await self._written()
        self.writing = asyncio.create_task(self._write(write, batch))

    async def _write(self, write: Write, batch: Sequence[Page[RecordT]]) -> None:
        stored = await in_thread(self.writer.transaction, write)
        self.outcome.stored.add(stored)
        self.outcome.pages += len(batch)
        self.outcome.watermark = batch[-1].watermark
        if self.outcome.stored.created >= self.statistics_due:
            self.statistics_due = self.outcome.stored.created * GROWTH
            stream = self.outcome.stream
            await in_thread(self.writer.transaction, lambda connection: take_statistics(connection, stream))

    async def _written(self) -> None:
        writing, self.writing = self.writing, None
        if writing is not None:
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait([writing])
                raise

    def _stopped(self) -> RunStopped:
        return RunStopped(
            f"stopped by {self.stop.why} after {self.outcome.pages} pages of {self.outcome.stream.value}; "
            "they are stored, and the next run goes on behind them"
        )


def _taken(
    first: Page[RecordT] | _End, queue: asyncio.Queue[Page[RecordT] | _End]
) -> tuple[list[Page[RecordT]], _End | None]:
    """Return the pages that have come, up to a number of records, and the end when it has."""
    batch: list[Page[RecordT]] = []
    rows, item = 0, first
    while True:
        if isinstance(item, _End):
            return batch, item
        batch.append(item)
        rows += len(item.records)
        if rows >= ROWS_AT_ONCE or queue.empty():
            return batch, None
        item = queue.get_nowait()
