"""A run of its own process that waits for its turn: ``python -m ...waiting_run DATABASE_URL RUN_ID``."""

from __future__ import annotations

import asyncio
import logging
import sys

from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.pair import open_connection
from sync_pipelines.settings import load_section
from sync_pipelines.store.database import connect_engine


async def main(database_url: str, run_id: str) -> None:
    """Reconcile the connection of the connections file, and tell how many changes were written."""
    engine = connect_engine(database_url)
    (connection,) = load_section("offerings", OfferingsConnection, known=("offerings",))
    async with open_connection(connection, engine) as opened:
        done = await reconcile(engine, opened.pair, run_id=run_id, log=logging.getLogger(__name__), patience=60)
    print(f"{0 if done.applied is None else done.applied.outcomes.total()} writes")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
