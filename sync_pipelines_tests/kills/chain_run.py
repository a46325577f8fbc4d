"""A run that follows the chain, as Dagster does it."""

from __future__ import annotations

from functools import partial
from typing import cast

from dagster import DagsterInstance, Definitions, in_process_executor
from sqlalchemy import Engine

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines.pipelines.offerings.event_assets import WINDOWS
from sync_pipelines.pipelines.offerings.windows import windows_over
from sync_pipelines_tests.kills.child import Work
from sync_pipelines_tests.pipelines.offerings.market import CHAIN_ID


def following(connection: OfferingsConnection) -> Work:
    """Return the work of a run of the block window in which everything so far happened."""
    return partial(_follow, connection)


def _follow(connection: OfferingsConnection, engine: Engine) -> None:
    resources = {"store": engine, "options": RunOptions()}
    definitions = Definitions.merge(
        definitions_of((connection,)), Definitions(resources=resources, executor=in_process_executor)
    )
    (window,) = windows_over(CHAIN_ID, 1, 1, 100)
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(cast(str, WINDOWS.name), [window.key])
        job = definitions.resolve_job_def("offerings_events")
        assert job.execute_in_process(instance=instance, partition_key=window.key).success
