"""Imports of a ledger, in this process or in one that is killed."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from sqlalchemy import Engine

from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.systems.throttle import NoThrottle
from sync_pipelines_tests.kills.child import Work

log = logging.getLogger(__name__)


def importing(connection: LedgerConnection) -> Work:
    """Return the work of one import, to be killed."""
    return partial(import_all, connection)


def import_all(connection: LedgerConnection, engine: Engine) -> ImportOutcome:
    """Import what is committed."""
    return asyncio.run(_import(connection, engine))


async def _import(connection: LedgerConnection, engine: Engine) -> ImportOutcome:
    settings = ImportSettings(batch_size=connection.batch_size)
    async with open_ledger(connection, engine, throttle=NoThrottle(), read_delay=0.01) as opened:
        return await import_ledger(
            engine, opened.source, connection.name, connection.canister_id, run_id="killed", log=log, settings=settings
        )
