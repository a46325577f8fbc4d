"""A run of its own process, to be stopped: reconciles every connection of the connections file.

``python -m ...stopped_run DATABASE_URL`` as the engine does it; with a folder behind it as a run of the Dagster job,
of the instance in that folder. Ends with 130 and says why when it was stopped.
"""

from __future__ import annotations

import logging
import sys

from dagster import DagsterInstance, Definitions, in_process_executor

from sync_pipelines.core.errors import RunStopped
from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.engine.stopping import run_until_stopped
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines.pipelines.offerings.pair import open_connection
from sync_pipelines.settings import load_section
from sync_pipelines.store.database import connect_engine

INTERRUPTED = 130
RUN_ID = "5c4b0e7e-0000-4000-8000-000000000001"


async def _reconcile(database_url: str, connection: OfferingsConnection) -> None:
    engine = connect_engine(database_url)
    async with open_connection(connection, engine) as opened:
        await reconcile(engine, opened.pair, run_id="stopped", log=logging.getLogger(__name__))


def _run_job(database_url: str, connection: OfferingsConnection, folder: str) -> None:
    resources = {"store": connect_engine(database_url), "options": RunOptions()}
    definitions = Definitions.merge(
        definitions_of((connection,)), Definitions(resources=resources, executor=in_process_executor)
    )
    with DagsterInstance.local_temp(folder) as instance:
        definitions.resolve_job_def("offerings_reconcile").execute_in_process(
            instance=instance, partition_key=connection.name, run_id=RUN_ID, raise_on_error=False
        )


def main() -> None:
    """Do the work and end as a command would."""
    database_url, *folder = sys.argv[1:]
    (connection,) = load_section("offerings", OfferingsConnection, known=("offerings",))
    try:
        if folder:
            _run_job(database_url, connection, folder[0])
        else:
            run_until_stopped(_reconcile(database_url, connection))
    except RunStopped as stopped:
        print(stopped, flush=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
