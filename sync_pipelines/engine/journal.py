"""The journal: every step of the applier is a transaction under the lease, and steps share commits.

While one commit is on its way to the disk, the steps of the other records queue up; the next commit takes them all.
With eight records in flight that is one commit instead of eight, without making anybody wait for a timer. Steps of one
kind are even done together: what eight records need written costs the same few statements as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from sync_pipelines.core.errors import DatabaseUnavailable, LeaseLost
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.leases import Lease

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")
Step = Callable[[Connection, list[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Entry:
    step: Step
    item: Any
    done: asyncio.Future[Any]


class Journal:
    """Runs steps in order, grouped into transactions, each fenced by the lease."""

    def __init__(self, engine: Engine, lease: Lease) -> None:
        self._writer = FencedWriter(engine, lease)
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue()

    async def write(self, step: Callable[[Connection], T]) -> T:
        """Run a step in a transaction and return its result once that is committed.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
            DatabaseUnavailable: the database went away and did not come back.
        """

        def alone(connection: Connection, _: list[None]) -> list[T]:
            return [step(connection)]

        return await self.join(alone, None)

    async def join(self, step: Callable[[Connection, list[Item]], Sequence[Result]], item: Item) -> Result:
        """Have a step done for an item, together with whatever else waits for the same step.

        The step is given a list of items and returns their results in the same order; it returns here once that is
        committed. It may be run several times, of which one is committed. Errors as of :meth:`write`.
        """
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Entry(step, item, done))
        return await done

    async def run(self) -> None:
        """Commit steps for ever; cancel to end."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._commit(batch)

    def close(self) -> None:
        """Give the connection back."""
        self._writer.close()

    async def _commit(self, batch: list[_Entry]) -> None:
        try:
            results = await in_thread(self._writer.transaction, lambda connection: _do(connection, batch))
        except Exception as error:
            # Whatever it is belongs to the caller: a journal that died of it would leave every caller waiting.
            if len(batch) > 1 and not isinstance(error, (LeaseLost, DatabaseUnavailable)):
                # One bad step must not take the others down with it.
                for single in batch:
                    await self._commit([single])
                return
            for entry in batch:
                if not entry.done.done():
                    entry.done.set_exception(error)
            return
        for entry, result in zip(batch, results, strict=True):
            if not entry.done.done():
                entry.done.set_result(result)


def _do(connection: Connection, batch: list[_Entry]) -> list[Any]:
    places: dict[Step, list[int]] = {}
    for place, entry in enumerate(batch):
        places.setdefault(entry.step, []).append(place)
    results: list[Any] = [None] * len(batch)
    for step, where in places.items():
        found = step(connection, [batch[place].item for place in where])
        for place, result in zip(where, found, strict=True):
            results[place] = result
    return results


@asynccontextmanager
async def journaling(engine: Engine, lease: Lease) -> AsyncIterator[Journal]:
    """Keep a journal running for the time of the block."""
    journal = Journal(engine, lease)
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        journal.close()
