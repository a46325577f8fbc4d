"""What starts runs of a shop by itself, and the check that asks whether it did."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    asset_check,
    schedule,
    sensor,
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
from sync_pipelines.store import plans, webhook_inbox

LATE_AFTER = 3
"""Intervals without a sync after which an entity counts as late."""
WEBHOOK_SECONDS = 30
"""Between two looks into the inbox."""
_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]
_UNFINISHED = [*_WAITING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


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
        if not full and _has_run(context.instance, connection, _WAITING):
            return SkipReason("a run of the shop still waits: it sees everything that happened meanwhile")
        config = {"ops": {STEP: {"config": {"full": True}}}} if full else {}
        return RunRequest(run_config=config, tags=range_tags(connection))

    return synchronize


def webhook_sensors(configured: Sequence[ShopConnection], job: Job) -> list[SensorDefinition]:
    """Return the sensor that looks into the inbox of webhooks; none when no shop has any."""
    shops = {one.name: one for one in configured if one.woocommerce.webhook_secrets}
    if not shops:
        return []

    @sensor(
        name=f"{NAME}_webhooks",
        job=job,
        minimum_interval_seconds=WEBHOOK_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Looks into the inbox of {', '.join(shops)} and asks for one run a shop, which looks only at the "
        "records that were named. A shop that has a run is left out until that is over.",
    )
    def webhooks(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> list[RunRequest] | SkipReason:
        with store.begin() as transaction:
            waiting = webhook_inbox.due(transaction, list(shops))
        config = {"ops": {STEP: {"config": {"deliveries": True}}}}
        # No run key: it would de-duplicate for ever, also when the run died before it looked at anything.
        requests = [
            RunRequest(run_config=config, tags=range_tags(shops[name]))
            for name in waiting
            if not _has_run(context.instance, shops[name], _UNFINISHED)
        ]
        return requests or SkipReason("their shops have runs" if waiting else "no delivery waits")

    return [webhooks]


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


def _has_run(instance: DagsterInstance, connection: ShopConnection, statuses: list[DagsterRunStatus]) -> bool:
    return instance.get_runs_count(RunsFilter(tags={SCOPE_TAG: scope_tag(connection)}, statuses=statuses)) > 0
