"""A worker at the command line: it takes up the syncs that wait, and says how far it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sync_pipelines.cli import output
from sync_pipelines.core.errors import RunStopped
from sync_pipelines.core.orchestration import Status
from sync_pipelines.engine.stopping import run_until_stopped
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.commerce.runs import carry_out_sync
from sync_pipelines.pipelines.commerce.started_syncs import Standing, Started, standing, waiting
from sync_pipelines.pipelines.commerce.sync_documents import Document, sync_document
from sync_pipelines.store import sync_items

TOLD_SECONDS = 2.0
"""How often it is looked whether there is anything new to tell."""

log = logging.getLogger(__name__)


def carry_out_what_waits(engine: Engine, configured: Sequence[ShopConnection]) -> list[Document]:
    """Carry out the waiting syncs of some shops, one after the other, until none waits. Returns how far they came.

    Raises:
        RunStopped: SIGINT or SIGTERM; what was in hand is finished, and the sync waits for the next worker.
    """
    return run_until_stopped(_carry_out_all(engine, configured))


async def _carry_out_all(engine: Engine, configured: Sequence[ShopConnection]) -> list[Document]:
    done: list[Document] = []
    of_others: set[str] = set()
    while (one := await in_thread(_next, engine, configured, of_others)) is not None:
        if await _carry_out(engine, one):
            done.append(await in_thread(_document, engine, one))
        else:
            of_others.add(one.sync.sync_id)
    return done


def _next(engine: Engine, configured: Sequence[ShopConnection], of_others: Collection[str]) -> Started | None:
    with engine.connect() as connection:
        found = waiting(connection, configured)
    return next((one for one in found if one.sync.sync_id not in of_others), None)


async def _carry_out(engine: Engine, one: Started) -> bool:
    """Carry a sync out. Returns whether it was free to be taken up."""
    name = f"{one.sync.sync_id} ({one.shop.name})"
    output.note(f"{name}: {'goes on' if one.sync.status is Status.PROCESSING else 'begins'}")
    try:
        async with _telling(engine, one, name):
            ended = await carry_out_sync(one.shop, engine, one.sync.sync_id, log)
    except RunStopped:
        output.note(f"{name}: left to the next worker")
        raise
    if ended is None:
        output.note(f"{name}: another worker has it")
        return False
    found = await in_thread(_standing, engine, one)
    output.note(f"{name}: {ended.status}, {_numbers(found)}" + (f": {ended.error}" if ended.error else ""))
    return True


@asynccontextmanager
async def _telling(engine: Engine, one: Started, name: str) -> AsyncIterator[None]:
    """Tell how far a sync is, whenever that has changed."""

    async def tell() -> None:
        said = ""
        while True:
            await asyncio.sleep(TOLD_SECONDS)
            try:
                found = await in_thread(_standing, engine, one)
            except SQLAlchemyError:
                # The worker finds out, too, and says it better.
                continue
            numbers = _numbers(found)
            if numbers != said and found.total.total:
                said = numbers
                output.note(f"{name}: {numbers}")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def _standing(engine: Engine, one: Started) -> Standing:
    with engine.begin() as connection:
        return standing(connection, one.sync)


def _document(engine: Engine, one: Started) -> dict[str, Any]:
    with engine.begin() as connection:
        found = standing(connection, one.sync)
        return sync_document(found.sync, found.parts, sync_items.conflicts_of(connection, found.sync))


def _numbers(found: Standing) -> str:
    total = found.total
    rest = {"failed": total.failed, "skipped": total.skipped, "pending": total.pending}
    told = [f"{number} {name}" for name, number in rest.items() if number]
    return ", ".join([f"{total.processed} of {total.total} processed", *told])
