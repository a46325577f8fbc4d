"""Is every connection reconciled as often as it should be? A schedule of its own asks: a stopped one cannot tell."""

from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetSelection,
    DefaultScheduleStatus,
    ResourceParam,
    ScheduleDefinition,
    asset_check,
    define_asset_job,
    in_process_executor,
)
from sqlalchemy import Engine

from sync_pipelines.orchestration.spec import Named, ReconcilePipeline
from sync_pipelines.store import audit, plans

LATE_AFTER = 3
"""Intervals without a reconcile after which a connection counts as late."""


def freshness_check(pipeline: ReconcilePipeline) -> AssetChecksDefinition:
    """Return the check that every connection was reconciled within three of its intervals."""

    @asset_check(
        asset=pipeline.asset("applied"),
        name="freshness",
        description=f"Every connection was fully reconciled within {LATE_AFTER} of its intervals.",
    )
    def freshness(store: ResourceParam[Engine]) -> AssetCheckResult:
        with store.begin() as connection:
            applied = plans.last_applied(connection, pipeline.name)
        now = datetime.now(UTC)
        # One without an interval is reconciled when somebody asks for it: it cannot be late.
        regular = [scope for scope in pipeline.scopes if scope.interval]
        ages = {scope.name: (now - applied[scope.name]) if scope.name in applied else None for scope in regular}
        limits = {scope.name: timedelta(seconds=LATE_AFTER * scope.interval) for scope in regular}
        late = {name: age for name, age in ages.items() if age is None or age > limits[name]}
        told = ", ".join(f"{name} ({_age(age)})" for name, age in late.items())
        return AssetCheckResult(
            passed=not late,
            severity=AssetCheckSeverity.WARN,
            description=f"not reconciled in time: {told}" if late else "every connection was reconciled in time",
            metadata={f"seconds_{name}": age.total_seconds() for name, age in ages.items() if age is not None},
        )

    return freshness


def audit_check(pipeline: ReconcilePipeline) -> AssetChecksDefinition:
    """Return the check that recomputes the pipeline's audit chain."""

    @asset_check(
        asset=pipeline.asset("applied"),
        name="audit_chain",
        description="Every entry of the audit log still hashes to what the next one says.",
    )
    def audit_chain(store: ResourceParam[Engine]) -> AssetCheckResult:
        with store.begin() as connection:
            report = audit.verify(connection, pipeline.name)
        return AssetCheckResult(
            passed=report.intact,
            description=report.reason or f"{report.entries} entries, unbroken",
            metadata={"entries": report.entries},
        )

    return audit_chain


def health_schedule(pipeline: Named, checks: list[AssetChecksDefinition]) -> ScheduleDefinition:
    """Return the schedule that runs the checks every 15 minutes."""
    job = define_asset_job(
        f"{pipeline.name}_health",
        selection=AssetSelection.checks(*checks),
        executor_def=in_process_executor,
        description="Freshness of every connection, and the audit chain.",
    )
    return ScheduleDefinition(
        name=f"{pipeline.name}_health_every_15_min",
        job=job,
        cron_schedule="*/15 * * * *",
        default_status=DefaultScheduleStatus.RUNNING,
    )


def _age(age: timedelta | None) -> str:
    return "never" if age is None else f"{int(age.total_seconds())} s ago"
