"""A run of its own process that stops (SIGSTOP) between its first intent and the call, as a paused machine would.

``python -m ...paused_run DATABASE_URL LEASE_SECONDS``. Ends with 3 and says why when it lost its lease.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.engine.apply import apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.pair import open_connection
from sync_pipelines.settings import load_section
from sync_pipelines.store.database import connect_engine
from sync_pipelines.systems.throttle import NoThrottle

LOST = 3


class StopsAfterIntent(NoThrottle):
    """Stops the process at the first request after an intent was written down."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopped = False

    async def admit(self, peer: str) -> None:
        """Let the request through, after the stop if it is its turn."""
        with self._engine.begin() as connection:
            intended = connection.execute(text("SELECT count(*) FROM sync.effect WHERE state = 'intended'")).scalar()
        if intended and not self._stopped:
            self._stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)


async def _reconcile(database_url: str, lease_seconds: float) -> None:
    engine = connect_engine(database_url)
    (connection,) = load_section("offerings", OfferingsConnection, known=("offerings",))
    async with (
        open_connection(connection, engine, throttle=StopsAfterIntent(engine)) as opened,
        working_on(engine, opened.pair, "zombie", logging.getLogger(__name__), lease_seconds=lease_seconds) as run,
    ):
        await extract(run, "left")
        await extract(run, "right")
        await apply(run, compare(run))


def main() -> None:
    """Do the work and end as a command would."""
    try:
        asyncio.run(_reconcile(sys.argv[1], float(sys.argv[2])))
    except LeaseLost as lost:
        print(lost, flush=True)
        sys.exit(LOST)


if __name__ == "__main__":
    main()
