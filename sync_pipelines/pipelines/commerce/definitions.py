"""The commerce pipeline as Dagster sees it: assets by shop and entity, checks, schedules, and the failed runs."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import AssetSelection, Definitions, define_asset_job, in_process_executor

from sync_pipelines.orchestration.automation import Job, failure_sensor
from sync_pipelines.orchestration.freshness import health_schedule
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, CONFLICTS, JOB, PLAN, asset, snapshot_key
from sync_pipelines.pipelines.commerce.assets import commerce_assets
from sync_pipelines.pipelines.commerce.automation import freshness_check, schedules, webhook_sensors
from sync_pipelines.pipelines.commerce.connection import NAME, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.settle_job import settle_job
from sync_pipelines.pipelines.commerce.started_job import started_asset, started_job, started_sensor


@dataclass(frozen=True, slots=True)
class _Pipeline:
    name: str = NAME


def definitions_of(configured: tuple[ShopConnection, ...]) -> Definitions:
    """Return the pipeline's definitions for some connections; without any there is nothing to show."""
    if not configured:
        return Definitions()
    job, freshness = sync_job(), freshness_check(configured)
    started = started_job(configured)
    return Definitions(
        assets=[*commerce_assets(configured), started_asset()],
        asset_checks=[freshness],
        jobs=[job, started, settle_job(configured)],
        schedules=[
            *(one for connection in configured for one in schedules(connection, job)),
            health_schedule(_Pipeline(), [freshness]),
        ],
        sensors=[
            started_sensor(configured),
            *webhook_sensors(configured, job),
            failure_sensor(_Pipeline(), [job, started], by_tag=True),
        ],
    )


def sync_job() -> Job:
    """Return the job that synchronizes entities of one shop."""
    made = [*(snapshot_key(peer) for peer in PEERS), *(asset(name) for name in (PLAN, CONFLICTS, APPLIED))]
    return define_asset_job(
        JOB,
        selection=AssetSelection.assets(*made).without_checks(),
        executor_def=in_process_executor,
        description="Synchronize one entity of a shop, or a range of them in their order. Run options: mode, full, "
        "entities, deliveries, approve.",
    )
