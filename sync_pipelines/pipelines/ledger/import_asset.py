"""The asset of a ledger's raw entries: one step that imports, and tells how far it came."""

from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetObservation,
    AssetsDefinition,
    AssetSpec,
    Config,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableSchema,
    multi_asset,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.orchestration.reporting import Event, Outcome, reported
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.ledger.asset_keys import entries_key, source_key
from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.derived_tables import ENTRIES
from sync_pipelines.pipelines.ledger.importing import Diverged
from sync_pipelines.pipelines.ledger.ledger_checks import import_checks, of_import
from sync_pipelines.pipelines.ledger.runs import Done, Mode, Request, carry_out, what_waits
from sync_pipelines.pipelines.ledger.status import labels_named

OWNERS = ("team:platform",)
POOL = "internet_computer"
TOLD_EVERY = 120.0
"""Seconds between two messages of a long import: each is a row of the event log."""
COLUMNS = (
    TableColumn("canister", "integer", "id of the connection's scope in `sync.scope`"),
    TableColumn("block_offset", "bigint", "ledger position of the block: bytes, of a token's log the block's index"),
    TableColumn("entry_index", "integer", "place within the block"),
    TableColumn("label", "text", "what kind of entry it is, as written"),
    TableColumn("key", "bytea", "what it is depends on the label"),
    TableColumn("value", "bytea", "as the canister encoded it"),
    TableColumn("operation", "text", "INSERT, UPDATE or DELETE, as of that moment"),
    TableColumn("icp_timestamp", "bigint", "time of the block, nanoseconds since 1970 UTC"),
)


class ImportOptions(Config):
    """What an import is asked to do; shown in the Launchpad."""

    mode: Mode = Field(
        default=Mode["import"],
        description="import: store what is committed. resync: the same, from the last block that the canister has in "
        "common with what is stored; what follows it is kept apart. plan: say what would be imported.",
    )
    batch_size: int = Field(
        default=0, ge=0, description="Entries stored in one transaction, at least; 0: as the connection says."
    )
    label: str = Field(
        default="", description="Count the entries of this label apart; the chain is imported as a whole."
    )


def source_asset(connection: LedgerConnection) -> AssetSpec:
    """Return the canister's ledger itself, outside of Dagster."""
    return AssetSpec(
        source_key(connection),
        group_name=NAME,
        kinds={"internet_computer"},
        owners=list(OWNERS),
        description=f"The ledger of the canister {connection.canister_id}. Outside of Dagster: read, never written.",
    )


def import_asset(connection: LedgerConnection) -> AssetsDefinition:
    """Return the asset of the raw entries."""
    key = entries_key(connection)

    @multi_asset(
        name=step_name(connection),
        specs=[
            AssetSpec(
                key,
                deps=[source_key(connection)],
                group_name=NAME,
                kinds={"postgres"},
                owners=list(OWNERS),
                description="Every entry of every committed block, for ever, in the stored order; each block is "
                "checked before it is stored.",
                metadata={
                    "dagster/column_schema": TableSchema(columns=list(COLUMNS)),
                    "dagster/table_name": f"sync.{ENTRIES}",
                    "canister": connection.canister_id,
                },
                # A run that only looks, or fails on the way, has made nothing.
                skippable=True,
            )
        ],
        check_specs=import_checks(connection),
        # The checks are answered by every run without being planned by it.
        can_subset=True,
        pool=POOL,
        description="Read the committed blocks that are not stored yet, check each, and store them.",
    )
    def ledger_entries(
        context: AssetExecutionContext, store: ResourceParam[Engine], config: ImportOptions
    ) -> Iterator[Event]:
        request = Request(
            context.run.run_id,
            config.mode,
            config.batch_size or connection.batch_size,
            context.run.tags.get("user", "the Launchpad"),
        )
        if config.label:
            labels_named(config.label)
        done, story = Done(), Story(context.log, pause=TOLD_EVERY)
        try:
            with story as log:
                work = carry_out(connection, store, request, log, done)
                run_stoppable(work, context.instance, context.run.run_id)
        except SyncError as error:
            failure = str(error) if isinstance(error, Diverged) else None
            yield from reported(context, connection.name, of_import(connection, done, failure))
            raise
        yield from reported(context, connection.name, _outcome(connection, done, config.label, story.rest()))

    return ledger_entries


def step_name(connection: LedgerConnection) -> str:
    """Name of the step, under which the Launchpad has its options."""
    return f"{NAME}__{connection.slug}__import"


def _outcome(connection: LedgerConnection, done: Done, label: str, told: str) -> Iterator[Outcome]:
    key = entries_key(connection)
    if done.imported is not None:
        yield AssetMaterialization(key, told or None, metadata_of(done, label))
    elif done.tip is not None:
        waits = what_waits(done.before, done.tip)
        yield AssetObservation(key, description=waits, metadata={"tip_position": done.tip.end})
    yield from of_import(connection, done)


def metadata_of(done: Done, label: str = "") -> Metadata:
    """Describe an import: numbers that plot over time, and the labels as a table."""
    outcome = done.imported
    if outcome is None:
        raise ConfigurationError("nothing was imported")
    position, seconds = outcome.position, max(done.seconds, 0.001)
    numbers: Metadata = {
        "entries": outcome.entries,
        "blocks": outcome.blocks,
        "total_entries": position.entries,
        "total_blocks": position.blocks,
        "position": position.next_position or 0,
        "tip_position": outcome.tip.end,
        "behind": max(outcome.tip.end - (position.next_position or outcome.tip.data_start), 0),
        "seconds": round(done.seconds, 3),
        "entries_per_second": round(outcome.entries / seconds, 1),
        "requests": done.requests,
        "bytes_received": done.received,
        "generation": position.generation,
        "ending": outcome.ending.value,
    }
    if outcome.reason:
        numbers["reason"] = outcome.reason
    if label:
        numbers["entries_of_label"] = sum(outcome.labels[written] for written in labels_named(label))
    if done.pending is not None:
        numbers["pending_entries"] = done.pending
    if done.resynced is not None:
        numbers |= {
            "common_blocks": done.resynced.kept,
            "superseded_blocks": done.resynced.superseded_blocks,
            "superseded_entries": done.resynced.superseded_entries,
        }
    if outcome.labels:
        rows = [f"| {markdown_cell(name)} | {number} |" for name, number in outcome.labels.most_common(50)]
        numbers["labels"] = MetadataValue.md("\n".join(["| label | entries |", "|---|---:|", *rows]))
    return numbers
