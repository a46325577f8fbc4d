"""Checks of what is stored, for all connections of a kind together: a schedule of their own asks."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    MetadataValue,
    ResourceParam,
    multi_asset_check,
)
from sqlalchemy import Connection, Engine

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.orchestration.checks import key_of
from sync_pipelines.orchestration.freshness import LATE_AFTER
from sync_pipelines.pipelines.marketplaces.asset_keys import asset_key, step_name
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.marketplace import Marketplace
from sync_pipelines.store.marketplaces import reports
from sync_pipelines.store.marketplaces.reports import StreamReport

SHOWN = 50
_Found = list[tuple[str, str]]
_Search = Callable[[Connection, Sequence[str]], _Found]

SEARCHES: dict[tuple[Stream, str], tuple[str, _Search]] = {
    (Stream.ORDERS, "totals"): (
        "The lines of every order add up to what the order says.",
        reports.totals_that_differ,
    ),
    (Stream.ORDERS, "duplicates"): (
        "No organization has an order twice, because an account is connected twice.",
        reports.duplicates,
    ),
    (Stream.ORDERS, "items_without_product"): (
        "Every order line names a product that was seen.",
        reports.items_without_product,
    ),
    (Stream.PRODUCTS, "duplicates"): ("No two products of a connection share a sku.", reports.shared_skus),
}
"""Checks that list what is not right: stream and name -> what is promised, and what finds the rest."""
STREAM_CHECKS = {
    "freshness": f"Every connection was read within {LATE_AFTER} of its intervals.",
    "watermark_lag": f"What is stored is no older than {LATE_AFTER} intervals at the marketplace.",
    "item_errors": "No record has an open item error.",
}


def kind_checks(kind: Marketplace, connections: Sequence[MarketplaceConnection]) -> AssetChecksDefinition:
    """Return the checks of a kind of marketplace."""
    specs = [
        AssetCheckSpec(name, asset=asset_key(kind.kind, stream), description=promise)
        for stream in Stream
        for name, promise in STREAM_CHECKS.items()
    ]
    specs += [
        AssetCheckSpec(name, asset=asset_key(kind.kind, stream), description=promise)
        for (stream, name), (promise, _) in SEARCHES.items()
    ]

    @multi_asset_check(
        name=f"{step_name(kind.kind)}__checks",
        specs=specs,
        # Else a run of one asset could not be started beside them.
        can_subset=True,
        description="Freshness and lag of every connection, sums, duplicates, lines without a product, item errors.",
    )
    def checks(context: AssetCheckExecutionContext, store: ResourceParam[Engine]) -> Iterator[AssetCheckResult]:
        for answer in answers(store, kind.kind, connections, datetime.now(UTC)):
            if key_of(answer) in context.selected_asset_check_keys:
                yield answer

    return checks


def answers(
    engine: Engine, kind: str, connections: Sequence[MarketplaceConnection], now: datetime
) -> Iterator[AssetCheckResult]:
    """Answer the checks of a kind from what is stored."""
    names = [connection.name for connection in connections]
    limits = {connection.name: timedelta(seconds=LATE_AFTER * connection.interval) for connection in connections}
    with engine.connect() as connection:
        found = reports.stream_reports(connection, names)
        listed = {place: search(connection, names) for place, (_, search) in SEARCHES.items()}
    for stream in Stream:
        of_stream = {one.connection: one for one in found if one.stream == stream.value}
        yield _of_age("freshness", kind, stream, limits, now, {name: _read_at(of_stream, name) for name in names})
        yield _of_age("watermark_lag", kind, stream, limits, now, {name: _through(of_stream, name) for name in names})
        yield _of_errors(kind, stream, list(of_stream.values()))
    for (stream, name), rows in listed.items():
        yield _of_list(kind, stream, name, rows)


def _read_at(found: dict[str, StreamReport], name: str) -> datetime | None:
    return found[name].read_at if name in found else None


def _through(found: dict[str, StreamReport], name: str) -> datetime | None:
    return found[name].through if name in found else None


def _of_age(
    check: str,
    kind: str,
    stream: Stream,
    limits: dict[str, timedelta],
    now: datetime,
    times: dict[str, datetime | None],
) -> AssetCheckResult:
    ages = {name: None if moment is None else now - moment for name, moment in times.items()}
    late = {name: age for name, age in ages.items() if age is None or age > limits[name]}
    told = ", ".join(
        f"{name} ({'never' if age is None else f'{int(age.total_seconds())} s'})" for name, age in late.items()
    )
    return AssetCheckResult(
        asset_key=asset_key(kind, stream),
        check_name=check,
        passed=not late,
        severity=AssetCheckSeverity.WARN,
        description=f"late: {told}" if late else "every connection is up to date",
        metadata={f"seconds_{name}": age.total_seconds() for name, age in ages.items() if age is not None},
    )


def _of_errors(kind: str, stream: Stream, found: Sequence[StreamReport]) -> AssetCheckResult:
    errors = {one.connection: one.errors for one in found if one.errors}
    return AssetCheckResult(
        asset_key=asset_key(kind, stream),
        check_name="item_errors",
        passed=not errors,
        severity=AssetCheckSeverity.WARN,
        description=f"{sum(errors.values())} open; see 'sync-pipelines marketplaces errors'" if errors else "none",
        metadata={f"errors_{name}": number for name, number in errors.items()},
    )


def _of_list(kind: str, stream: Stream, check: str, rows: _Found) -> AssetCheckResult:
    table = ["| connection | record |", "|---|---|"]
    table += [f"| {markdown_cell(name)} | {markdown_cell(record)} |" for name, record in rows[:SHOWN]]
    return AssetCheckResult(
        asset_key=asset_key(kind, stream),
        check_name=check,
        passed=not rows,
        severity=AssetCheckSeverity.WARN,
        description=f"{len(rows)} found" if rows else "none",
        metadata={"found": len(rows), "records": MetadataValue.md("\n".join(table) if rows else "none")},
    )
