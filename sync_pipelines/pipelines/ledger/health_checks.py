"""Checks that a stopped pipeline cannot answer by itself: a schedule of their own asks."""

from collections.abc import Iterator
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
    multi_asset_check,
)
from sqlalchemy import Engine, text

from sync_pipelines.pipelines.ledger.asset_keys import entries_key
from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.ledger_checks import of_verification, verification_checks
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.pipelines.ledger.verification import verified

LATE_AFTER = 3
"""Intervals without a look at the canister after which a ledger counts as late."""
VERIFIED_AT = "17 3 * * *"
"""Cron, UTC: when everything that is stored is proved anew."""


def freshness_check(connection: LedgerConnection) -> AssetChecksDefinition:
    """Return the check that the canister was looked at within three intervals."""
    regular = connection.interval or connection.poll_seconds
    limit = timedelta(seconds=LATE_AFTER * max(regular, connection.poll_seconds))

    @asset_check(
        asset=entries_key(connection),
        name="freshness",
        description=f"The canister was looked at within the last {int(limit.total_seconds())} s.",
    )
    def freshness(store: ResourceParam[Engine]) -> AssetCheckResult:
        seen = seen_at(store, connection)
        age = None if seen is None else datetime.now(UTC) - seen
        told = "never" if age is None else f"{int(age.total_seconds())} s ago"
        return AssetCheckResult(
            passed=age is not None and age <= limit,
            severity=AssetCheckSeverity.WARN,
            description=f"the canister was looked at {told}",
            metadata={} if age is None else {"seconds": age.total_seconds()},
        )

    return freshness


def seen_at(store: Engine, connection: LedgerConnection) -> datetime | None:
    """Return when the canister last told where its ledger ends; ``None`` when it never did."""
    position = position_of(store, connection.name)
    if position is None:
        return None
    with store.connect() as transaction:
        found: datetime | None = transaction.execute(
            text("SELECT tip_seen_at FROM sync.ledger_position WHERE canister = :canister"),
            {"canister": position.canister},
        ).scalar()
    return found


def verification(connection: LedgerConnection) -> AssetChecksDefinition:
    """Return the checks that are answered from everything that is stored."""

    @multi_asset_check(
        name=f"{NAME}__{connection.slug}__verify",
        specs=verification_checks(connection),
        description="Walk the whole stored chain, recompute its hashes and the balances, and count what is derived.",
    )
    def verify(store: ResourceParam[Engine]) -> Iterator[AssetCheckResult]:
        yield from of_verification(connection, *verified(store, connection.name))

    return verify


def verify_schedule(connection: LedgerConnection, checks: AssetChecksDefinition) -> ScheduleDefinition:
    """Return the schedule that proves the ledger once a day."""
    job = define_asset_job(
        f"{NAME}_{connection.slug}_verify",
        selection=AssetSelection.checks(checks),
        executor_def=in_process_executor,
        description="Prove everything that is stored, offline.",
    )
    return ScheduleDefinition(
        name=f"{NAME}_{connection.slug}_verify_daily",
        job=job,
        cron_schedule=VERIFIED_AT,
        default_status=DefaultScheduleStatus.RUNNING,
    )
