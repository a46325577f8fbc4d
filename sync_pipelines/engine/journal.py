"""The journal: every step of the applier is one transaction under the lease, and steps share commits.

While one commit is on its way to the disk, the steps of the other records queue up; the next commit takes them all.
With eight records in flight that is one commit instead of eight, without making anybody wait for a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease

T = TypeVar("T")
Step = Callable[[Connection], Any]


class Journal:
    """Runs steps in order, grouped into transactions, each fenced by the lease."""

    def __init__(self, engine: Engine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease
        self._queue: asyncio.Queue[tuple[Step, asyncio.Future[Any]]] = asyncio.Queue()

    async def write(self, step: Callable[[Connection], T]) -> T:
        """Run a step in a transaction and return its result once that is committed.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._queue.put((step, done))
        return await done

    async def run(self) -> None:
        """Commit steps for ever; cancel to end."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._commit(batch)

    async def _commit(self, batch: list[tuple[Step, asyncio.Future[Any]]]) -> None:
        try:
            results = await in_thread(self._transaction, [step for step, _ in batch])
        except Exception as error:
            # Whatever it is belongs to the caller: a journal that died of it would leave every caller waiting.
            if len(batch) > 1 and not _outcome_unknown(error):
                # One bad step must not take the others down with it.
                for single in batch:
                    await self._commit([single])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)

    def _transaction(self, steps: list[Step]) -> list[Any]:
        with self._engine.begin() as connection:
            leases.fence(connection, self._lease)
            return [step(connection) for step in steps]


def _outcome_unknown(error: Exception) -> bool:
    """Say whether the connection broke, perhaps during the commit: running the steps again could do them twice."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


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
