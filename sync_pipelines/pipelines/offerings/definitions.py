"""The offerings pipeline as Dagster sees it: assets, checks, jobs, sensors and schedules."""

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
)
from sync_pipelines.orchestration.freshness import audit_check, freshness_check, health_schedule
from sync_pipelines.orchestration.spec import ReconcilePipeline, Scoped
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.event_assets import by_chain, chain_events_asset, chain_events_sensor
from sync_pipelines.pipelines.offerings.pair import NAME, OpenConnection, open_connection

COLUMNS = {
    "backend_id": "offering id on the chain, <provider>/<sequence>",
    "name": "at most 150 characters in Waldur",
    "description": "Waldur cleans HTML; what it shows after a write is what was agreed",
    "category": "Waldur category uuid, by the category map",
    "attributes": "ve_* facts, spec_* specifications, meta_* public metadata, tags and regions sorted",
    "components": "what is metered: one a price",
    "prices": "exact decimals in the currency, by component",
    "state": "Draft, Active, Paused or Archived",
}


def pipeline_of(configured: tuple[OfferingsConnection, ...]) -> ReconcilePipeline:
    """Describe the pipeline for the builders."""
    by_name = {connection.name: connection for connection in configured}

    @asynccontextmanager
    async def open_by_name(name: str, engine: Engine) -> AsyncIterator[OpenConnection]:
        async with open_connection(by_name[name], engine) as opened:
            yield opened

    return ReconcilePipeline(
        name=NAME,
        left="chain",
        right="waldur",
        scopes=[Scoped(connection.name, connection.interval) for connection in configured],
        open=open_by_name,
        columns=COLUMNS,
    )


def definitions_of(configured: tuple[OfferingsConnection, ...]) -> Definitions:
    """Return the pipeline's definitions for some connections; without any there is nothing to show."""
    if not configured:
        return Definitions()
    pipeline, chains = pipeline_of(configured), by_chain(configured)
    assets = reconcile_assets(pipeline)
    events = chain_events_asset(pipeline, chains)
    checks = [freshness_check(pipeline), audit_check(pipeline)]
    reconcile_job = define_asset_job(
        pipeline.job_name,
        selection=AssetSelection.assets(
            *(pipeline.asset(name) for name in ("chain_snapshot", "waldur_snapshot", "plan", "applied"))
        ).without_checks(),
        executor_def=in_process_executor,
        description="Read both sides, plan, apply. Run options: mode, keys, approve, force_full.",
    )
    events_job = define_asset_job(
        f"{NAME}_events",
        selection=AssetSelection.assets(events.key),
        executor_def=in_process_executor,
        description="Read the events of block windows and reconcile the offerings they name.",
    )
    return Definitions(
        assets=[*assets, events],
        asset_checks=checks,
        jobs=[reconcile_job, events_job],
        schedules=[*reconcile_schedules(pipeline, reconcile_job), health_schedule(pipeline, checks)],
        sensors=[
            chain_events_sensor(pipeline, chains, events_job),
            *interval_sensors(pipeline, reconcile_job),
            retry_sensor(pipeline, reconcile_job),
            failure_sensor(pipeline, [reconcile_job, events_job]),
        ],
    )
