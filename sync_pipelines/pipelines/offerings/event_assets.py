"""The asset of chain events, by block windows, and the sensor that follows the chain."""

import asyncio
import json
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from dagster import (
    AddDynamicPartitionsRequest,
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    BetaWarning,
    Config,
    DagsterRunStatus,
    DefaultSensorStatus,
    DeleteDynamicPartitionsRequest,
    DynamicPartitionsDefinition,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    asset,
    sensor,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError, SyncError
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.orchestration.automation import Job
from sync_pipelines.orchestration.spec import SCOPE_TAG, ReconcilePipeline
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.connection import Chain, OfferingsConnection
from sync_pipelines.pipelines.offerings.events import Ingested
from sync_pipelines.pipelines.offerings.pair import NAME, chain_of, chain_transport_of, open_connection
from sync_pipelines.pipelines.offerings.windows import KEPT_WINDOWS, Window, ranges, window_of, windows_over
from sync_pipelines.store import owed
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.systems.cometbft.subscription import wake_ups

WINDOWS = DynamicPartitionsDefinition(name="offerings_block_windows")
WINDOWS_PER_RUN = 50
"""Windows that the sensor hands to one run; after an outage the next ones follow when it is done."""
RETRY_AFTER_SECONDS = 30
"""A range whose run did not move the watermark is asked for again after this."""
LEASE_WAIT_SECONDS = 120.0
"""How long to wait for another run of a connection to end."""
LOOK_SECONDS = 3
"""The daemon comes by every 5 seconds. With 5 here it would often find the last tick some milliseconds too young, and
look only after 10."""
UNINDEXED_HEIGHTS = 200
"""Blocks that the sensor reads one by one in a tick, on nodes that keep no index of transactions."""
LAG = 100
"""Blocks that nodes behind one address may lie apart; a chain that stands further back was reset or restored."""
_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

Chains = Mapping[str, Sequence[OfferingsConnection]]


class ChangedOfferings(Config):
    """What a run of chain events is asked to do; shown in the Launchpad."""

    chosen: list[str] = Field(
        default_factory=list,
        alias="keys",
        description="Look only at these offerings; empty: at all that the windows' events name.",
    )


def by_chain(connections: Sequence[OfferingsConnection]) -> Chains:
    """Group connections by the chain they follow."""
    chains: dict[str, list[OfferingsConnection]] = {}
    for connection in connections:
        chains.setdefault(connection.chain.chain_id, []).append(connection)
    return chains


def chain_events_asset(pipeline: ReconcilePipeline, chains: Chains) -> AssetsDefinition:
    """Return the asset: events of block windows, kept, and the offerings that they name reconciled."""

    with warnings.catch_warnings():
        # Single-run backfills are marked as beta; every process that loads the definitions would print it.
        warnings.simplefilter("ignore", BetaWarning)

        @asset(
            key=pipeline.asset("chain_events"),
            deps=[pipeline.source],
            partitions_def=WINDOWS,
            # A range of missed windows is one reading and one reconcile, not a run each.
            backfill_policy=BackfillPolicy.single_run(),
            group_name=pipeline.name,
            kinds={"postgres", pipeline.left},
            owners=list(pipeline.owners),
            pool=pipeline.left,
            description="Offering events by block windows. An event only says which offering to look at: the offerings "
            "named are read from the chain and reconciled. A gap in the chain's own count of events leads to a full "
            "reconcile.",
        )
        def chain_events(
            context: AssetExecutionContext, store: ResourceParam[Engine], config: ChangedOfferings
        ) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the bare name
            windows = [window_of(key) for key in context.partition_keys]
            story = Story(context.log)
            with story as log:
                work = _follow(context.run.run_id, log, store, chains, windows, config.chosen)
                result = run_stoppable(work, context.instance, context.run.run_id)
            story.flush()
            return result

    return chain_events


async def _follow(
    run_id: str,
    log: logging.Logger,
    store: Engine,
    chains: Chains,
    windows: Sequence[Window],
    keys: Sequence[str],
) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the bare name
    numbers = {"windows": len(windows), "events": 0, "looked_at": 0, "written": 0, "failed": 0, "full_reconciles": 0}
    missed: list[str] = []
    failures: list[SyncError] = []
    for span in ranges(windows):
        connections = chains.get(span.chain_id)
        if connections is None:
            log.warning("no connection follows chain %s any more; its windows are left out", span.chain_id)
            continue
        read = await _read(store, connections, span, run_id)
        if read is None:
            continue
        numbers["events"] += len(read.events)
        missed += read.missed
        for reason in read.missed:
            log.warning("chain %s: %s: everything is reconciled", span.chain_id, reason)
        for connection in connections:
            named = [key for key in read.offerings_of(connection.provider) if not keys or key in keys]
            if not named and not read.missed:
                continue
            try:
                done = await _reconcile(run_id, log, store, connection, None if read.missed else named)
            except SyncError as error:
                # The others go on; this one is owed its reconcile, and the retry sensor asks for it.
                failures.append(error)
                log.error("%s: %s", connection.name, error)
                continue
            numbers["looked_at"] += 0 if read.missed else len(named)
            numbers["full_reconciles"] += bool(read.missed)
            numbers["written"] += sum(done.applied.actions.values()) if done.applied else 0
            numbers["failed"] += done.applied.failed if done.applied else 0
            with store.begin() as transaction:
                events.reconciled(transaction, connection, read.events, run_id)
    if failures:
        raise failures[0]
    told = MetadataValue.md("\n".join(f"- {markdown_cell(reason)}" for reason in missed) or "nothing")
    return MaterializeResult(metadata={**numbers, "missed": told})


async def _read(
    store: Engine, connections: Sequence[OfferingsConnection], span: Window, run_id: str
) -> Ingested | None:
    """Ingest a range as far as the chain has come; ``None`` when it lies in the future."""
    async with chain_transport_of(connections[0], store) as transport:
        chain = chain_of(connections[0], transport)
        tip = await chain.check()
        last = min(span.last, tip.height)
        first = max(span.first, 1)
        if first > last:
            return None
        return await events.ingest(store, chain, connections, first, last, run_id=run_id)


async def _reconcile(
    run_id: str, log: logging.Logger, store: Engine, connection: OfferingsConnection, keys: list[str] | None
) -> Reconciled:
    async with open_connection(connection, store) as opened:
        return await reconcile(store, opened.pair, run_id=run_id, log=log, keys=keys, patience=LEASE_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the sensor asked for last, per chain, kept in its cursor."""

    to_height: int
    at: float


def chain_events_sensor(pipeline: ReconcilePipeline, chains: Chains, job: Job) -> SensorDefinition:
    """Return the sensor that follows the chains: registers windows, and asks for one run a batch of changes."""

    @sensor(
        name="chain_events",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Follows each chain from the watermark in the database: registers block windows as partitions, and "
        "asks for one run a batch of windows, with the ids of the offerings that changed.",
    )
    def chain_events(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> SensorResult:
        asked = {chain: _Asked(**value) for chain, value in json.loads(context.cursor or "{}").items()}
        requests: list[RunRequest] = []
        windows: list[Window] = []
        notes: list[str] = []
        for chain_id, connections in chains.items():
            try:
                found = asyncio.run(_look_and_wait(context, store, connections, asked.get(chain_id)))
            except PeerError as error:
                # One chain out of reach must not keep the others waiting; the next tick tries again.
                context.log.warning("chain %s: %s", chain_id, error)
                notes.append(f"{chain_id}: {error}")
                continue
            windows += found.windows
            if found.request is not None:
                requests.append(found.request)
                asked[chain_id] = _Asked(found.to_height, time.time())
            notes.append(f"{chain_id}: {found.note}")
        changes = _partition_changes(context, windows)
        cursor = json.dumps({chain: {"to_height": a.to_height, "at": a.at} for chain, a in asked.items()})
        return SensorResult(
            run_requests=requests,
            skip_reason=None if requests else SkipReason("; ".join(notes)),
            dynamic_partitions_requests=changes,
            cursor=cursor,
        )

    return chain_events


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look at a chain came to."""

    note: str
    to_height: int = 0
    windows: tuple[Window, ...] = ()
    request: RunRequest | None = None


async def _look_and_wait(
    context: SensorEvaluationContext,
    store: Engine,
    connections: Sequence[OfferingsConnection],
    asked: _Asked | None,
) -> _Found:
    found = await _look(context, store, connections, asked)
    if found.request is None and await _hinted(context, connections[0].chain):
        return await _look(context, store, connections, asked)
    return found


async def _hinted(context: SensorEvaluationContext, chain: Chain) -> bool:
    """Wait for a hint that there is something to see. A hint that is missed costs nothing but the wait."""
    if not chain.wake_up_seconds:
        return False
    try:
        async with (
            asyncio.timeout(chain.wake_up_seconds),
            aclosing(wake_ups(chain.rpc_url, chain.event_type)) as hints,
        ):
            async for hint in hints:
                if hint.reason == "event":
                    return True
    except TimeoutError:
        return False
    except PeerError as error:
        context.log.warning("chain %s gives no hints: %s", chain.chain_id, error)
    return False


async def _look(
    context: SensorEvaluationContext,
    store: Engine,
    connections: Sequence[OfferingsConnection],
    asked: _Asked | None,
) -> _Found:
    configured = connections[0].chain
    chain_id, size = configured.chain_id, configured.window
    async with chain_transport_of(connections[0], store) as transport:
        chain = chain_of(connections[0], transport)
        tip = await chain.check()
        with store.begin() as connection:
            known = events.position(connection, chain_id)
            if known is None:
                events.begin_at(connection, chain_id, tip.height)
                return _Found(f"events are followed from height {tip.height} on; the full reconcile covers the rest")
        if tip.height < known.height:
            return _gone_back(context, store, connections, known.height, tip.height)
        if tip.height == known.height:
            return _Found(f"nothing new at height {tip.height}")
        most = WINDOWS_PER_RUN * size if tip.tx_index else UNINDEXED_HEIGHTS
        first, last = known.height + 1, min(tip.height, known.height + most)
        touched = tuple(windows_over(chain_id, first, last, size))
        if _busy(context, chain_id):
            return _Found(f"heights {first} to {last} wait for the run before", windows=touched)
        if asked is not None and asked.to_height >= first and time.time() - asked.at < RETRY_AFTER_SECONDS:
            return _Found(f"heights up to {asked.to_height} were asked for and not read; asking again soon")
        seen = await events.peek(store, chain, chain_id, first, last, indexed=tip.tx_index)
    if not seen.events and not seen.missed:
        return _Found(f"no offering changed up to height {last}", windows=touched)
    return _Found("changes", last, touched, _request(chain_id, connections, touched, seen))


def _gone_back(
    context: SensorEvaluationContext,
    store: Engine,
    connections: Sequence[OfferingsConnection],
    known: int,
    height: int,
) -> _Found:
    """Take the place of a chain that stands further back; what differs since is the full reconcile's business."""
    chain_id = connections[0].chain.chain_id
    if known - height <= LAG:
        return _Found(f"the node stands at height {height}, events were read up to {known}: it lags behind")
    told = (
        f"the chain went back from height {known} to {height}: it was reset or restored, or another node answers. "
        f"Events are followed from height {height} on, and everything is to be reconciled; a plan that rests on the "
        "earlier height is held until somebody approves it"
    )
    context.log.warning("chain %s: %s", chain_id, told)
    with store.begin() as connection:
        events.begin_at(connection, chain_id, height)
        for configured in connections:
            owed.owe(connection, ensure_scope(connection, NAME, configured.name), told, f"sensor of {chain_id}")
    return _Found(told)


def _request(
    chain_id: str, connections: Sequence[OfferingsConnection], windows: Sequence[Window], seen: Ingested
) -> RunRequest:
    keys = sorted({key for connection in connections for key in seen.offerings_of(connection.provider)})
    config = {"ops": {"offerings__chain_events": {"config": {"keys": keys}}}} if keys and not seen.missed else {}
    return RunRequest(
        # The moment is part of the key: a range whose run failed is asked for again.
        run_key=f"{chain_id}:{seen.from_height}->{seen.to_height}:{int(time.time())}",
        run_config=config,
        tags={
            SCOPE_TAG: f"events/{chain_id}",
            "dagster/asset_partition_range_start": windows[0].key,
            "dagster/asset_partition_range_end": windows[-1].key,
        },
    )


def _busy(context: SensorEvaluationContext, chain_id: str) -> bool:
    tags = {SCOPE_TAG: f"events/{chain_id}"}
    return context.instance.get_runs_count(RunsFilter(tags=tags, statuses=_UNFINISHED)) > 0


def _partition_changes(
    context: SensorEvaluationContext, windows: Sequence[Window]
) -> list[AddDynamicPartitionsRequest | DeleteDynamicPartitionsRequest]:
    """Register new windows, and drop the oldest ones from the list when it grows too long for the UI."""
    name = WINDOWS.name
    assert name is not None
    known = set(context.instance.get_dynamic_partitions(name))
    new = [window.key for window in windows if window.key not in known]
    old = sorted(known)[: max(0, len(known) + len(new) - KEPT_WINDOWS)] if new else []
    changes: list[AddDynamicPartitionsRequest | DeleteDynamicPartitionsRequest] = []
    if new:
        changes.append(WINDOWS.build_add_request(new))
    if old:
        changes.append(WINDOWS.build_delete_request(old))
    return changes
