"""The ledger pipeline as Dagster sees it: for each canister its entries, its days, checks, sensors and schedules."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import AssetSelection, Definitions, define_asset_job, in_process_executor

from sync_pipelines.orchestration.automation import Job, failure_sensor
from sync_pipelines.orchestration.freshness import health_schedule
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.ledger.asset_keys import entries_key, table_key
from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.day_assets import day_assets
from sync_pipelines.pipelines.ledger.derived_tables import TABLES
from sync_pipelines.pipelines.ledger.health_checks import freshness_check, verification, verify_schedule
from sync_pipelines.pipelines.ledger.import_asset import import_asset, source_asset
from sync_pipelines.pipelines.ledger.sensors import (
    days_sensor,
    days_tag,
    fallback_schedules,
    import_tag,
    tip_sensor,
)


@dataclass(frozen=True, slots=True)
class _Pipeline:
    name: str = NAME


def definitions_of(configured: tuple[LedgerConnection, ...]) -> Definitions:
    """Return the pipeline's definitions for some connections; without any there is nothing to show."""
    if not configured:
        return Definitions()
    jobs = {connection.name: (import_job(connection), days_job(connection)) for connection in configured}
    freshness = [freshness_check(connection) for connection in configured]
    return Definitions.merge(
        *(_of_one(connection, *jobs[connection.name]) for connection in configured),
        Definitions(
            asset_checks=freshness,
            schedules=[health_schedule(_Pipeline(), freshness)],
            sensors=[failure_sensor(_Pipeline(), [job for pair in jobs.values() for job in pair], by_tag=True)],
        ),
    )


def _of_one(connection: LedgerConnection, imports: Job, days: Job) -> Definitions:
    proofs = verification(connection)
    return Definitions(
        assets=[source_asset(connection), import_asset(connection), day_assets(connection)],
        asset_checks=[proofs],
        jobs=[imports, days],
        schedules=[*fallback_schedules(connection, imports), verify_schedule(connection, proofs)],
        sensors=[tip_sensor(connection, imports), days_sensor(connection, days)],
    )


def import_job(connection: LedgerConnection) -> Job:
    """Return the job that imports one canister's ledger."""
    return define_asset_job(
        f"{NAME}_{connection.slug}_import",
        selection=AssetSelection.assets(entries_key(connection)).without_checks(),
        executor_def=in_process_executor,
        tags={SCOPE_TAG: import_tag(connection)},
        description="Import the committed blocks that are not stored yet. Run options: mode (import, resync, plan), "
        "batch_size, label.",
    )


def days_job(connection: LedgerConnection) -> Job:
    """Return the job that derives some days of one canister's ledger."""
    return define_asset_job(
        f"{NAME}_{connection.slug}_days",
        selection=AssetSelection.assets(*(table_key(connection, table.name) for table in TABLES)).without_checks(),
        executor_def=in_process_executor,
        tags={SCOPE_TAG: days_tag(connection)},
        description="Derive the tables of a day, or of a range of days in one run.",
    )
