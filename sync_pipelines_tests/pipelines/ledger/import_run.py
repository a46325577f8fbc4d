"""A run of its own process, to be stopped or killed: imports the ledger of a canister, a few entries at a time.

``python -m ...import_run DATABASE_URL URL FOLDER``, as a run of the Dagster job in the instance in that folder. Ends
with 130 when it was stopped.
"""

from __future__ import annotations

import sys

from dagster import DagsterInstance, Definitions, in_process_executor

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.ledger.definitions import definitions_of
from sync_pipelines.store.database import connect_engine
from sync_pipelines_tests.pipelines.ledger.dagster_runs import connection_of

RUN_ID = "5c4b0e7e-0000-4000-8000-000000000002"
BATCH = 20


def main() -> None:
    """Do the work and end as a run's process would."""
    database_url, url, folder = sys.argv[1:]
    connection = connection_of(url, batch_size=BATCH)
    resources = {"store": connect_engine(database_url), "options": RunOptions()}
    definitions = Definitions.merge(
        definitions_of((connection,)), Definitions(resources=resources, executor=in_process_executor)
    )
    with DagsterInstance.local_temp(folder) as instance:
        definitions.resolve_job_def(f"ledger_{connection.slug}_import").execute_in_process(
            instance=instance, run_id=RUN_ID, raise_on_error=False
        )
        run = instance.get_run_by_id(RUN_ID)
        sys.exit(0 if run is not None and run.is_success else 130)


if __name__ == "__main__":
    main()
