"""Orders and products of each kind of marketplace, by connection and day. One step makes both."""

import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

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
    MultiPartitionKey,
    MultiPartitionsDefinition,
    ResourceParam,
    StaticPartitionsDefinition,
    multi_asset,
)
from sqlalchemy import Engine

from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.marketplaces.asset_keys import asset_key, step_name
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import ConnectionOutcome, CycleOutcome, Days, Request, run_cycle
from sync_pipelines.pipelines.marketplaces.marketplace import Marketplace
from sync_pipelines.pipelines.marketplaces.pulling import StreamOutcome

CONNECTION, DAY = "connection", "day"
_Made = AssetMaterialization | MaterializeResult  # type: ignore[type-arg]  # Dagster reads the bare name
_DESCRIPTIONS = {
    Stream.ORDERS: "Orders with their items. Today's partition is what changed since the last pull, of however many "
    "days; an earlier day is read again.",
    Stream.PRODUCTS: "Products, one row for each variant. Any partition is what changed since the last pull.",
}
_TABLES = {Stream.ORDERS: "sync.marketplace_order", Stream.PRODUCTS: "sync.marketplace_product"}


class PullFailed(SyncError):
    """Connections could not be pulled; what could be is stored."""


def partitions_of(connections: Sequence[MarketplaceConnection]) -> MultiPartitionsDefinition:
    """Return connection x day, today included."""
    first = min(connection.first_day for connection in connections)
    days = DailyPartitionsDefinition(first.isoformat(), timezone="UTC", end_offset=1)
    return MultiPartitionsDefinition(
        {CONNECTION: StaticPartitionsDefinition([connection.name for connection in connections]), DAY: days}
    )


def pull_assets(
    kind: Marketplace, connections: Sequence[MarketplaceConnection], everything: Sequence[MarketplaceConnection]
) -> AssetsDefinition:
    """Return the assets of a kind.

    Arguments:
        connections: the active ones of this kind.
        everything: all of the connections file, which is what the table of connections holds.
    """
    with warnings.catch_warnings():
        # Single-run backfills are marked as beta; every process that loads the definitions would print it.
        warnings.simplefilter("ignore", BetaWarning)

        @multi_asset(
            name=step_name(kind.kind),
            specs=[_spec(kind, stream) for stream in Stream],
            partitions_def=partitions_of(connections),
            # An outage of a week is one reading, not seven runs.
            backfill_policy=BackfillPolicy.single_run(),
            can_subset=True,
            pool=f"{NAME}_{kind.kind}",
            description=f"Pull accounts of {kind.title}: what changed, and days that are asked for.",
        )
        def marketplace(context: AssetExecutionContext, store: ResourceParam[Engine]) -> Iterator[_Made]:
            streams = tuple(one for one in Stream if asset_key(kind.kind, one) in context.selected_asset_keys)
            chosen = _chosen(context)
            story = Story(context.log)
            outcomes: list[ConnectionOutcome] = []
            with story as log:
                for request in _requests(context.run.run_id, streams, chosen):
                    work = run_cycle(store, everything, request, log, list(chosen))
                    outcomes += run_stoppable(work, context.instance, context.run.run_id).connections
            yield from _made(context, kind.kind, streams, outcomes, story.rest())
            refuse_failures(outcomes)

    return marketplace


def refuse_failures(outcomes: Sequence[ConnectionOutcome]) -> None:
    """Raise :class:`PullFailed` when a connection failed, so that the run shows it."""
    failed = [f"{one.connection}: {one.error}" for one in outcomes if one.error is not None]
    if failed:
        raise PullFailed("; ".join(failed))


def metadata_of(outcome: StreamOutcome) -> Metadata:
    """Describe what was pulled of a stream: numbers that plot over time."""
    stored = outcome.stored
    numbers: Metadata = {
        "pages": outcome.pages,
        "records": stored.records,
        "items": stored.items,
        "created": stored.created,
        "changed": stored.changed,
        "deleted": stored.deleted,
        "item_errors": stored.errors,
        "seconds": round(outcome.seconds, 3),
        "rows_per_second": round(stored.rows / max(outcome.seconds, 0.001), 1),
    }
    if outcome.watermark is not None and outcome.watermark.through is not None:
        through = outcome.watermark.through
        numbers["watermark"] = through.isoformat()
        numbers["watermark_lag_seconds"] = round((datetime.now(UTC) - through).total_seconds(), 1)
    if outcome.waits:
        numbers["waits"] = outcome.waits
    return numbers


def materializations(outcome: CycleOutcome) -> Iterator[AssetMaterialization]:
    """Yield what a cycle made: each stream that was read, in the partition of its connection and of today."""
    today = outcome.started_at.date().isoformat()
    for one in outcome.connections:
        for stream, pulled in one.streams.items():
            if pulled.error is None:
                partition = MultiPartitionKey({CONNECTION: one.connection, DAY: today})
                yield AssetMaterialization(asset_key(one.marketplace, stream), None, metadata_of(pulled), partition)


def _spec(kind: Marketplace, stream: Stream) -> AssetSpec:
    return AssetSpec(
        asset_key(kind.kind, stream),
        group_name=NAME,
        kinds={"postgres"},
        owners=["team:platform"],
        description=_DESCRIPTIONS[stream],
        metadata={"dagster/table_name": _TABLES[stream]},
        # A stream that could not be read has made nothing.
        skippable=True,
    )


def _chosen(context: AssetExecutionContext) -> dict[str, list[date]]:
    """Return the days that are asked for, by connection."""
    chosen: dict[str, list[date]] = {}
    for key in context.partition_keys:
        assert isinstance(key, MultiPartitionKey)
        parts = key.keys_by_dimension
        chosen.setdefault(parts[CONNECTION], []).append(date.fromisoformat(parts[DAY]))
    return chosen


def _requests(run_id: str, streams: tuple[Stream, ...], chosen: dict[str, list[date]]) -> Iterator[Request]:
    """Earlier days are read again, from the first to the last; then, for today or for products, what changed."""
    today = datetime.now(UTC).date()
    days = {day for asked in chosen.values() for day in asked}
    earlier = {day for day in days if day < today}
    if earlier and Stream.ORDERS in streams:
        yield Request(run_id, streams=(Stream.ORDERS,), days=Days(_start(min(earlier)), _start(max(earlier), 1)))
    changed = streams if today in days else tuple(one for one in streams if one is Stream.PRODUCTS)
    if changed:
        yield Request(run_id, streams=changed)


def _start(day: date, after: int = 0) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=after)


def _made(
    context: AssetExecutionContext,
    kind: str,
    streams: Sequence[Stream],
    outcomes: Sequence[ConnectionOutcome],
    told: str,
) -> Iterator[_Made]:
    keys: list[str] = list(context.partition_keys)
    for stream in streams:
        pulled = [one.streams[stream] for one in outcomes if stream in one.streams]
        if not pulled or any(one.error is not None for one in pulled):
            continue
        key: AssetKey = asset_key(kind, stream)
        if len(keys) == 1:
            yield AssetMaterialization(key, told or None, metadata_of(pulled[-1]), keys[0])
        else:
            yield MaterializeResult(asset_key=key, metadata=metadata_of(pulled[-1]))
