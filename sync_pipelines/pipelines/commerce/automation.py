"""What starts runs of a shop by itself, and the check that asks whether it did."""

from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    asset_check,
    schedule,
)
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from sqlalchemy import Engine

from sync_pipelines.orchestration.automation import Job
from sync_pipelines.orchestration.intervals import cron_of
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, asset
from sync_pipelines.pipelines.commerce.assets import STEP
from sync_pipelines.pipelines.commerce.connection import NAME, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.store import plans

LATE_AFTER = 3
"""Intervals without a sync after which an entity counts as late."""
_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]


def scope_tag(connection: ShopConnection) -> str:
    """Value of the run tag by which runs of one shop take turns: orders need what customers and products have made."""
    return f"{NAME}/{connection.name}"


def range_tags(connection: ShopConnection) -> dict[str, str]:
    """Return the tags of a run over all entities of a shop."""
    first, last = connection.entities[0], connection.entities[-1]
    return {
        ASSET_PARTITION_RANGE_START_TAG: connection.scope(first),
        ASSET_PARTITION_RANGE_END_TAG: connection.scope(last),
        SCOPE_TAG: scope_tag(connection),
    }


def schedules(connection: ShopConnection, job: Job) -> list[ScheduleDefinition]:
    """Return the schedules of a shop: what moved every few minutes, and everything once a day."""
    slug, made = connection.name.replace("-", "_"), []
    if connection.interval:
        made.append(_schedule(connection, job, f"{NAME}_{slug}_every_{connection.interval}_s", full=False))
    if connection.full_at:
        made.append(_schedule(connection, job, f"{NAME}_{slug}_full_daily", full=True))
    return made


def _schedule(connection: ShopConnection, job: Job, name: str, *, full: bool) -> ScheduleDefinition:
    hour, _, minute = connection.full_at.partition(":")
    cron = f"{int(minute)} {int(hour)} * * *" if full else cron_of(connection.interval)
    told = "reads everything, and so finds what was deleted" if full else "reads what moved"

    @schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Synchronizes {connection.name}: {told}. Left out while a run of the shop still waits.",
    )
    def synchronize(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if not full and _has_waiting_run(context.instance, connection):
            return SkipReason("a run of the shop still waits: it sees everything that happened meanwhile")
        config = {"ops": {STEP: {"config": {"full": True}}}} if full else {}
        return RunRequest(run_config=config, tags=range_tags(connection))

    return synchronize


def freshness_check(configured: tuple[ShopConnection, ...]) -> AssetChecksDefinition:
    """Return the check that every entity of every shop was synchronized within three of its intervals."""

    @asset_check(
        asset=asset(APPLIED),
        name="freshness",
        description=f"Every entity of every shop was synchronized within {LATE_AFTER} of the shop's intervals.",
    )
    def freshness(store: ResourceParam[Engine]) -> AssetCheckResult:
        now = datetime.now(UTC)
        with store.begin() as connection:
            applied = [plans.last_applied(connection, f"{NAME}_{peer}") for peer in PEERS]
        late = {}
        for shop in configured:
            for scope in (shop.scope(entity) for entity in shop.entities if shop.interval):
                moments = [one.get(scope) for one in applied]
                oldest = None if None in moments else min(moment for moment in moments if moment is not None)
                if oldest is None or now - oldest > timedelta(seconds=LATE_AFTER * shop.interval):
                    late[scope] = "never" if oldest is None else f"{int((now - oldest).total_seconds())} s ago"
        told = ", ".join(f"{scope} ({age})" for scope, age in late.items())
        return AssetCheckResult(
            passed=not late,
            severity=AssetCheckSeverity.WARN,
            description=f"not synchronized in time: {told}" if late else "every shop was synchronized in time",
            metadata={"late": len(late)},
        )

    return freshness


def _has_waiting_run(instance: DagsterInstance, connection: ShopConnection) -> bool:
    return instance.get_runs_count(RunsFilter(tags={SCOPE_TAG: scope_tag(connection)}, statuses=_WAITING)) > 0
