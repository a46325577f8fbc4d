"""The pipeline as Dagster sees it: assets of each kind of marketplace, one job for a cycle over all connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster import AssetSelection, Definitions, define_asset_job, in_process_executor

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.orchestration.automation import failure_sensor
from sync_pipelines.orchestration.freshness import health_schedule
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.marketplaces.asset_keys import asset_key, job_name
from sync_pipelines.pipelines.marketplaces.assets import pull_assets
from sync_pipelines.pipelines.marketplaces.checks import kind_checks
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle_job import cycle_job, cycle_schedule
from sync_pipelines.pipelines.marketplaces.kinds import MARKETPLACES


@dataclass(frozen=True, slots=True)
class _Pipeline:
    name: str = NAME


def definitions_of(configured: Sequence[MarketplaceConnection]) -> Definitions:
    """Return the pipeline's definitions for some connections; without an active one there is nothing to show."""
    active = [connection for connection in configured if connection.active]
    if not active:
        return Definitions()
    cycles = cycle_job(configured)
    kinds = [kind for kind in MARKETPLACES.values() if any(one.marketplace == kind.kind for one in active)]
    of_kind = {kind.kind: [one for one in active if one.marketplace == kind.kind] for kind in kinds}
    checks = [kind_checks(kind, of_kind[kind.kind]) for kind in kinds]
    jobs = [
        define_asset_job(
            job_name(kind.kind),
            selection=AssetSelection.assets(*(asset_key(kind.kind, stream) for stream in Stream)).without_checks(),
            executor_def=in_process_executor,
            tags={SCOPE_TAG: f"{NAME}/{kind.kind}"},
            description=f"Pull days of connections to {kind.title}.",
        )
        for kind in kinds
    ]
    return Definitions(
        assets=[pull_assets(kind, of_kind[kind.kind], configured) for kind in kinds],
        asset_checks=checks,
        jobs=[cycles, *jobs],
        schedules=[cycle_schedule(active, cycles), health_schedule(_Pipeline(), checks)],
        sensors=[failure_sensor(_Pipeline(), [cycles, *jobs], by_tag=True)],
    )
