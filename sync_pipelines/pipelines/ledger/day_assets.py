"""The assets that are derived from a ledger's entries, by UTC day of block time. One step makes them all."""

import warnings
from collections.abc import Iterator
from datetime import date

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    BetaWarning,
    DailyPartitionsDefinition,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    multi_asset,
)
from sqlalchemy import Engine

from sync_pipelines.orchestration.reporting import Event, reported
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.ledger.asset_keys import entries_key, table_key
from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.derived_tables import TABLES, DerivedTable
from sync_pipelines.pipelines.ledger.import_asset import OWNERS
from sync_pipelines.pipelines.ledger.ledger_checks import of_verification
from sync_pipelines.pipelines.ledger.runs import DaysDone, derive_days, position_of
from sync_pipelines.pipelines.ledger.verification import VERIFIED_AT_ONCE, verified
from sync_pipelines.store.ledger import errors, statuses

_Made = Event | MaterializeResult  # type: ignore[type-arg]  # Dagster reads the bare name


def days_of(connection: LedgerConnection) -> DailyPartitionsDefinition:
    """Return the days: from the connection's first one to today."""
    return DailyPartitionsDefinition(connection.first_day.isoformat(), timezone="UTC", end_offset=1)


def day_assets(connection: LedgerConnection) -> AssetsDefinition:
    """Return the derived tables."""
    by_key = {table_key(connection, table.name): table for table in TABLES}
    partitions = days_of(connection)
    with warnings.catch_warnings():
        # Single-run backfills are marked as beta; every process that loads the definitions would print it.
        warnings.simplefilter("ignore", BetaWarning)

        @multi_asset(
            name=step_name(connection),
            specs=[_spec(connection, key, table) for key, table in by_key.items()],
            partitions_def=partitions,
            # A month is one reading of its entries, not thirty runs.
            backfill_policy=BackfillPolicy.single_run(),
            can_subset=True,
            description="Derive the tables from the raw entries of some days. Deriving any day again, in any order, "
            "gives the same rows.",
        )
        def ledger_days(context: AssetExecutionContext, store: ResourceParam[Engine]) -> Iterator[_Made]:
            chosen = {key: by_key[key] for key in by_key if key in context.selected_asset_keys}
            first, last = _range(context, partitions)
            story = Story(context.log)
            with story as log:
                projections = list(dict.fromkeys(table.projection for table in chosen.values()))
                work = derive_days(store, connection.name, first, last, projections, log)
                done = run_stoppable(work, context.instance, context.run.run_id)
            yield from _made(context, store, connection, chosen, done, story.rest())
            position = position_of(store, connection.name)
            if position is not None and position.entries <= VERIFIED_AT_ONCE:
                found = verified(store, connection.name)
                yield from reported(context, connection.name, of_verification(connection, *found))

    return ledger_days


def step_name(connection: LedgerConnection) -> str:
    """Name of the step."""
    return f"{NAME}__{connection.slug}__days"


def _spec(connection: LedgerConnection, key: AssetKey, table: DerivedTable) -> AssetSpec:
    return AssetSpec(
        key,
        deps=[entries_key(connection)],
        group_name=NAME,
        kinds={"postgres"},
        owners=list(OWNERS),
        description=table.description,
        metadata={"dagster/table_name": f"sync.{table.name}"},
        skippable=True,
    )


def _range(context: AssetExecutionContext, partitions: DailyPartitionsDefinition) -> tuple[date, date]:
    """Return the days to derive. Times of blocks are the canister's: a day before the first partition goes with the
    first one, a day after today with the last one.
    """
    chosen = context.partition_key_range
    first, last = date.fromisoformat(chosen.start), date.fromisoformat(chosen.end)
    if chosen.start == partitions.get_first_partition_key():
        first = date.min
    if chosen.end == partitions.get_last_partition_key():
        last = date.max
    return first, last


def _made(
    context: AssetExecutionContext,
    store: Engine,
    connection: LedgerConnection,
    chosen: dict[AssetKey, DerivedTable],
    done: DaysDone,
    told: str,
) -> Iterator[_Made]:
    """Tell of each table and day: as the events themselves for one day, and for a range as results, whose many events
    are written together.
    """
    totals, standing = _standing(store, connection.name)
    keys = list(context.partition_keys)
    for key, table in chosen.items():
        said = _metadata(table, done, totals.get(table.name, 0), standing.get(table.projection, {}))
        if len(keys) == 1:
            yield AssetMaterialization(key, told or None, said, keys[0])
            told = ""
        else:
            yield MaterializeResult(asset_key=key, metadata=said)


def _standing(store: Engine, name: str) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Return the rows of each table, and the errors of each projection by kind."""
    position = position_of(store, name)
    if position is None:
        return {}, {}
    with store.connect() as connection:
        found = statuses.read(connection, position.canister)
        wrong = errors.by_kind(connection, position.canister)
    return {status.table_name: status.total_records_synced for status in found}, wrong


def _metadata(table: DerivedTable, done: DaysDone, total: int, wrong: dict[str, int]) -> Metadata:
    said: Metadata = {
        "days": len(done.days),
        "blocks": done.derived.blocks,
        "entries_read": done.derived.entries,
        "rows_written": done.derived.rows[table.events],
        "rows_created": done.derived.created.get(table.name, 0),
        "total_rows": total,
        "errors": sum(wrong.values()),
        "seconds": round(done.seconds, 3),
    }
    if wrong:
        rows = [f"| {kind} | {number} |" for kind, number in sorted(wrong.items())]
        said["import_errors"] = MetadataValue.md("\n".join(["| what | entries |", "|---|---:|", *rows]))
    return said
