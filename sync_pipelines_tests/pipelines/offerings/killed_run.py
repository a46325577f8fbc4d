"""A run of its own process, to be killed: ``python -m ...killed_run DATABASE_URL`` reconciles every connection."""

from __future__ import annotations

import asyncio
import logging
import sys

from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.pair import open_connection
from sync_pipelines.settings import load_section
from sync_pipelines.store.database import connect_engine


async def main(database_url: str) -> None:
    """Reconcile all connections of the connections file."""
    engine = connect_engine(database_url)
    for connection in load_section("offerings", OfferingsConnection, known=("offerings",)):
        async with open_connection(connection, engine) as opened:
            await reconcile(engine, opened.pair, run_id="killed", log=logging.getLogger(__name__))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
