"""The assets of a shop: both snapshots, the plan for either system, the conflicts, and what was applied.

One step makes them all, for one entity of a shop or for several of them in their order: customers and products come
before the orders that need their links.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    BetaWarning,
    Config,
    ResourceParam,
    StaticPartitionsDefinition,
    multi_asset,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.orchestration.reporting import Event, reported
from sync_pipelines.orchestration.resources import Mode
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, CONFLICTS, PLAN, asset, snapshot_key, system_key
from sync_pipelines.pipelines.commerce.checks import check_specs
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.deliveries import carry_out_delivered
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.reports import outcome_of
from sync_pipelines.pipelines.commerce.runs import Progress, Request, carry_out

STEP = f"{NAME}__sync"
OWNERS = ("team:platform",)


class SyncOptions(Config):
    """What a run is asked to do; shown in the Launchpad."""

    mode: Mode = Field(
        default=Mode.apply, description="plan: merge, plan, and write to neither system. apply: carry it out."
    )
    full: bool = Field(default=False, description="Read everything, also where a system can tell what moved.")
    entities: list[str] = Field(default_factory=list, description="Only these of the chosen partitions; empty: all.")
    deliveries: bool = Field(
        default=False, description="Look only at the records that deliveries of the shop's webhooks name."
    )
    approve: list[str] = Field(
        default_factory=list,
        description="Hashes of held plans (at least 6 digits each), one for each entity and system: let them through.",
    )


def partitions_of(configured: Sequence[ShopConnection]) -> StaticPartitionsDefinition:
    """Return the partitions: one for each entity of each shop, those of a shop together and in their order."""
    return StaticPartitionsDefinition(
        [connection.scope(entity) for connection in configured for entity in connection.entities]
    )


def commerce_assets(configured: Sequence[ShopConnection]) -> list[AssetsDefinition | AssetSpec]:
    """Return the assets in the order of their lineage."""
    outside = [
        AssetSpec(
            system_key(peer),
            group_name=NAME,
            kinds={peer},
            owners=list(OWNERS),
            description=f"What {peer} has. Outside of Dagster: read, and kept in agreement with the other system.",
        )
        for peer in PEERS
    ]
    return [*outside, _sync(configured)]


def _sync(configured: Sequence[ShopConnection]) -> AssetsDefinition:
    by_scope = {connection.scope(entity): (connection, entity) for connection in configured for entity in EntityType}
    with warnings.catch_warnings():
        # Single-run backfills are marked as beta; every process that loads the definitions would print it.
        warnings.simplefilter("ignore", BetaWarning)

        @multi_asset(
            name=STEP,
            specs=_specs(),
            check_specs=check_specs(),
            partitions_def=partitions_of(configured),
            # A backfill after an outage is one run for a shop, in the order of its entities.
            backfill_policy=BackfillPolicy.single_run(),
            # The checks are answered by every run without being planned by it.
            can_subset=True,
            pool=NAME,
            description="Read both systems, merge what moved, and bring either system to what is merged.",
        )
        def sync(context: AssetExecutionContext, store: ResourceParam[Engine], config: SyncOptions) -> Iterator[Event]:
            connection, request = _request(context, by_scope, config)
            done: list[Progress] = []
            story = Story(context.log)
            try:
                with story as log:
                    run = carry_out_delivered if config.deliveries else carry_out
                    work = run(connection, store, request, log, done)
                    run_stoppable(work, context.instance, context.run.run_id)
            except SyncError:
                # What was read and planned until then is what people look at to understand the failure.
                yield from reported(context, connection.name, outcome_of(store, connection, request, done))
                raise
            if not any(progress.applied for progress in done):
                story.flush()
            outcome = outcome_of(store, connection, request, done, story.rest())
            yield from reported(context, connection.name, outcome)

    return sync


def _specs() -> list[AssetSpec]:
    def spec(key: AssetKey, deps: list[AssetKey], kinds: set[str], description: str) -> AssetSpec:
        return AssetSpec(
            key,
            deps=deps,
            kinds=kinds,
            description=description,
            group_name=NAME,
            owners=list(OWNERS),
            # A run that fails on the way has not made what comes after, and where nothing moved nothing is read.
            skippable=True,
        )

    return [
        *(
            spec(
                snapshot_key(peer),
                [system_key(peer)],
                {"postgres", peer},
                f"What {peer} says, read page by page into `sync.record`.",
            )
            for peer in PEERS
        ),
        spec(
            asset(PLAN),
            [snapshot_key(peer) for peer in PEERS],
            {"postgres"},
            "What both systems make of their records together, and the changes that bring either of them there. Each "
            "plan is addressed by its hash; approve held ones with the run option `approve`.",
        ),
        spec(
            asset(CONFLICTS),
            [asset(PLAN)],
            {"postgres"},
            "What only a person can decide, with the values of both systems. Settle it with "
            "`sync-pipelines commerce settle`.",
        ),
        spec(
            asset(APPLIED),
            [asset(PLAN)],
            set(PEERS),
            "The plans carried out in both systems: look, intend, call, read back, settle. Not materialized in plan "
            "mode.",
        ),
    ]


def _request(
    context: AssetExecutionContext,
    by_scope: Mapping[str, tuple[ShopConnection, EntityType]],
    config: SyncOptions,
) -> tuple[ShopConnection, Request]:
    if not context.has_partition_key and not context.has_partition_key_range:
        raise ConfigurationError("no shop was chosen; launch the job with an entity of a shop as its partition")
    chosen = [by_scope[key] for key in context.partition_keys]
    connection = chosen[0][0]
    if any(one is not connection for one, _ in chosen):
        names = ", ".join(dict.fromkeys(one.name for one, _ in chosen))
        raise ConfigurationError(f"a run is about one shop; these partitions are of {names}: launch one run for each")
    entities = [entity for _, entity in chosen]
    if unknown := sorted(set(config.entities) - set(entities)):
        raise ConfigurationError(
            f"options: entities: {', '.join(unknown)} is none of the chosen partitions ({', '.join(entities)})"
        )
    applies = config.mode is Mode.apply and asset(APPLIED) in context.selected_asset_keys
    if config.approve and not applies:
        raise ConfigurationError("approve is there to apply: remove mode: plan, and run with the asset 'applied'")
    return connection, Request(
        run_id=context.run.run_id,
        user=context.run.tags.get("user", "the Launchpad"),
        entities=[entity for entity in entities if not config.entities or entity in config.entities],
        applies=applies,
        full=config.full,
        approve=tuple(config.approve),
    )
