"""Everything that ``dagster dev`` loads: the definitions of the pipelines that have a connection, merged."""

from __future__ import annotations

import logging
from importlib import import_module

from dagster import Definitions, in_process_executor

from sync_pipelines.orchestration.maintenance import maintenance_job, maintenance_schedule
from sync_pipelines.orchestration.resources import RunOptions, SyncStore
from sync_pipelines.pipelines.registry import SECTIONS, enabled_connections

# httpx logs every URL with its query at INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)


def _of_pipeline(section: str) -> Definitions:
    configured = enabled_connections(section)
    if not configured:
        return Definitions()
    made: Definitions = import_module(f"sync_pipelines.pipelines.{section}.definitions").definitions_of(configured)
    return made


defs = Definitions.merge(
    *(_of_pipeline(section) for section in SECTIONS),
    # A process a step would cost ten times the work itself on a small machine.
    Definitions(
        jobs=[maintenance_job],
        schedules=[maintenance_schedule],
        resources={"store": SyncStore(), "options": RunOptions()},
        executor=in_process_executor,
    ),
)
