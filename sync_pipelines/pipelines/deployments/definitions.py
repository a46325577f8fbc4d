"""The deployments pipeline as Dagster sees it: assets, checks, jobs, sensors and schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dagster import AssetSelection, Definitions, define_asset_job, in_process_executor
from sqlalchemy import Engine

from sync_pipelines.orchestration.assets import reconcile_assets
from sync_pipelines.orchestration.automation import (
    failure_sensor,
    interval_sensors,
    reconcile_schedules,
    retry_sensor,
    start_sensors,
)
from sync_pipelines.orchestration.freshness import audit_check, freshness_check, health_schedule
from sync_pipelines.orchestration.spec import ReconcilePipeline, Scoped
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.pair import NAME, OpenConnection, open_connection
from sync_pipelines.pipelines.deployments.probes import MATCHES, PROBES, numbers_of, select

COLUMNS = {
    "service_id": "of the catalog; service_name, plan_id and plan_name likewise",
    "deployment_name": "at the Director",
    "director": "connection whose Director has it",
    "created_at": "the earliest proof that there is; Vault keeps an earlier one",
    "releases": "name and version, as deployed; stemcells likewise",
    "vms": "id, group, index, zone, addresses; process state where it is asked for",
    "match_confidence": "0 to 1; below the connection's threshold nothing is written",
    "manifest_sha256": "of the manifest's text, which itself is in Vault only",
    "properties_digest": "of the properties, which themselves are in Vault only",
    "orphaned": "Vault shows the instance without a deployment",
    "entry_shape": "what is wrong with the index entry; metadata_shape: with the metadata",
}


def pipeline_of(configured: tuple[DeploymentsConnection, ...]) -> ReconcilePipeline:
    """Describe the pipeline for the builders."""
    by_name = {connection.name: connection for connection in configured}

    @asynccontextmanager
    async def open_by_name(name: str, engine: Engine) -> AsyncIterator[OpenConnection]:
        async with open_connection(by_name[name], engine, is_run=True) as opened:
            yield opened

    return ReconcilePipeline(
        name=NAME,
        left="director",
        right="vault",
        scopes=[
            Scoped(connection.name, int(connection.reconciler.interval.total_seconds()), on_start=True)
            for connection in configured
        ],
        open=open_by_name,
        columns=COLUMNS,
        select=select,
        derived=[MATCHES],
        probes=PROBES,
        numbers=numbers_of,
    )


def definitions_of(configured: tuple[DeploymentsConnection, ...]) -> Definitions:
    """Return the pipeline's definitions for some connections; without any there is nothing to show."""
    if not configured:
        return Definitions()
    pipeline = pipeline_of(configured)
    checks = [freshness_check(pipeline), audit_check(pipeline)]
    job = define_asset_job(
        pipeline.job_name,
        selection=AssetSelection.assets(*pipeline.made).without_checks(),
        executor_def=in_process_executor,
        description="Scan the Director, read Vault, plan, apply. Run options: mode, keys (an instance id, a "
        "deployment, service:<name>, plan:<name>), approve, force_full (forgets kept details).",
    )
    return Definitions(
        assets=reconcile_assets(pipeline),
        asset_checks=checks,
        jobs=[job],
        schedules=[*reconcile_schedules(pipeline, job), health_schedule(pipeline, checks)],
        sensors=[
            *interval_sensors(pipeline, job),
            *start_sensors(pipeline, job),
            retry_sensor(pipeline, job),
            failure_sensor(pipeline, [job]),
        ],
    )
