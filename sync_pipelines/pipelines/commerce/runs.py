"""What a run does: read both systems of a shop, merge, plan for either system, and apply, entity by entity."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import ConfigurationError, FailureKind, LeaseLost, PeerError, PlanRefused, SyncError
from sync_pipelines.core.orchestration import SyncEntity
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import Run, working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.merge_record import Merges
from sync_pipelines.engine.merging import merge
from sync_pipelines.engine.reconcile import approve, refuse_incomplete
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.engine.two_way import TwoWayPair, show_merged
from sync_pipelines.orchestration.reconcile_run import PATIENCE, Read, held
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.given_up import note_given_up, try_settled
from sync_pipelines.pipelines.commerce.links import adopt_by_reference
from sync_pipelines.pipelines.commerce.moving import AsRead, Moved
from sync_pipelines.pipelines.commerce.named import MOST_NAMED, look_at_named
from sync_pipelines.pipelines.commerce.opening import PEERS, OpenShop, open_shop
from sync_pipelines.pipelines.commerce.pairs import EntityPair, pair_of
from sync_pipelines.pipelines.commerce.sync_shop import Pass, Terms
from sync_pipelines.pipelines.commerce.sync_worker import Temper, run_sync
from sync_pipelines.store import conflicts, leases, plans, snapshots, watermarks
from sync_pipelines.store.conflicts import Found
from sync_pipelines.store.merged_records import Scopes
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.systems.throttle import Throttle

OVERLAP = timedelta(minutes=10)
"""How far before the last look a window of the shop begins: its clock and ours may differ, and requests take time."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is to do.

    Attributes:
        run_id: id of the run.
        user: who launched it, for the approval's entry in the audit log.
        entities: in the order in which they are synchronized.
        applies: whether the plans are carried out.
        full: read everything, also where a system can tell what moved.
        approve: hashes of held plans to let through instead of new ones, each for one entity and system.
        named: entity -> keys in the shop of the only records to look at; ``None``: whatever moved.
    """

    run_id: str
    user: str
    entities: Sequence[EntityType]
    applies: bool = True
    full: bool = False
    approve: Sequence[str] = ()
    named: Mapping[EntityType, Sequence[str]] | None = None


@dataclass
class Progress:
    """How far the synchronization of an entity came. What it did not reach is not there.

    Attributes:
        read: the systems as they were read; one in which nothing had moved is not there.
        merges: what was merged, and what was found.
        plans: what is to be done in either system.
        applied: what came of it.
        peer_seconds, peer_requests: what the systems were asked.
        error: why it ended before its end.
    """

    entity: EntityType
    read: dict[Side, Read] = field(default_factory=dict)
    merges: Merges | None = None
    plans: dict[Side, StoredPlan] = field(default_factory=dict)
    applied: dict[Side, Applied] = field(default_factory=dict)
    seconds: float = 0.0
    peer_seconds: dict[str, float] = field(default_factory=dict)
    peer_requests: dict[str, int] = field(default_factory=dict)
    error: SyncError | None = None


async def carry_out(
    connection: ShopConnection,
    store: Engine,
    request: Request,
    log: logging.Logger,
    done: list[Progress],
    *,
    throttle: Throttle | None = None,
) -> None:
    """Synchronize a shop, and note in ``done`` what was reached, also when it ends with an error.

    An entity that fails does not keep the next ones from being synchronized, unless credentials are refused.

    Arguments:
        throttle: what both systems are asked through; by default the limits and breakers that all runs share.

    Raises:
        PeerError: a system could not be read, or refuses the credentials.
        SnapshotUnsealed: a system was read incompletely; nothing was written for that entity.
        PlanRefused: a plan is held and was to be applied, or one to approve cannot be.
        LeaseHeld, LeaseLost: another run works on the shop.
    """
    approved = await in_thread(_approved, store, connection, request)
    async with open_shop(connection, store, throttle=throttle) as opened:
        for entity in request.entities:
            progress = Progress(entity)
            done.append(progress)
            began, seconds, requests = time.monotonic(), opened.peer_seconds, opened.peer_requests
            try:
                await _synchronize(opened, store, request, log, progress, approved)
            except LeaseLost:
                raise
            except SyncError as error:
                progress.error = error
                log.warning("%s: %s", connection.scope(entity), error)
                if isinstance(error, PeerError) and error.kind is FailureKind.AUTH:
                    # Every further call may lock the account.
                    await in_thread(_note_refused, store, connection, entity, error)
                    raise
            finally:
                progress.seconds = time.monotonic() - began
                progress.peer_seconds = {peer: opened.peer_seconds[peer] - seconds[peer] for peer in PEERS}
                progress.peer_requests = {peer: opened.peer_requests[peer] - requests[peer] for peer in PEERS}
    _raise_first(done)


async def carry_out_sync(
    connection: ShopConnection,
    store: Engine,
    sync_id: str,
    log: logging.Logger,
    *,
    throttle: Throttle | None = None,
    temper: Temper | None = None,
) -> Orchestration | None:
    """Carry out a sync of this shop that people started, as :func:`run_sync` does."""
    async with open_shop(connection, store, throttle=throttle) as opened:
        return await run_sync(store, sync_id, ShopOfSyncs(opened, store), log=log, temper=temper)


@dataclass(frozen=True, slots=True)
class ShopOfSyncs:
    """A shop for the syncs that people start (:class:`sync_pipelines.pipelines.commerce.sync_shop.OpenedShop`)."""

    opened: OpenShop
    store: Engine

    async def synchronize(self, entity: SyncEntity, terms: Terms) -> Pass:
        """Synchronize the records of an entity on the terms of a sync.

        Raises:
            ConfigurationError: the connection leaves the entity alone.
            SyncError: as :func:`carry_out`; plans that are held are returned.
        """
        progress = Progress(EntityType(entity))
        if progress.entity not in self.opened.connection.entities:
            raise ConfigurationError(f"{self.opened.connection.name} does not synchronize {entity}")
        request = Request(terms.run_id, "", [progress.entity])
        await _synchronize(self.opened, self.store, request, terms.log, progress, {}, terms)
        return Pass(progress.plans, progress.applied)


async def _synchronize(
    opened: OpenShop,
    store: Engine,
    request: Request,
    log: logging.Logger,
    progress: Progress,
    approved: Mapping[tuple[str, str], str],
    terms: Terms | None = None,
) -> None:
    found = await pair_of(opened, progress.entity, store)
    if terms is not None:
        found = replace(found, pair=await terms.begin(found.pair))
    known = {} if request.full else await in_thread(_read_up_to, store, found.pair)
    looked_at = {Side.LEFT: datetime.now(UTC) - OVERLAP, Side.RIGHT: await opened.odoo.session.server_time()}
    named = _named(request, progress.entity, known)
    moved = await (_what_moved(found, known) if named is None else look_at_named(found.pair, store, named))
    pair = _with_what_was_read(found.pair, moved)
    sides = {side: pair.one_way(side, store) for side in Side}
    async with AsyncExitStack() as stack:
        runs = {
            side: await stack.enter_async_context(working_on(store, one, request.run_id, log, patience=PATIENCE))
            for side, one in sides.items()
        }
        await together(*(_read(runs[side], side, opened, moved.get(side), progress) for side in Side))
        scopes = await in_thread(_prepare, store, pair, runs, progress.entity)
        progress.merges = await in_thread(merge, pair, scopes, runs)
        for side, run in runs.items():
            await show_merged(run)
            digits = approved.get((run.pair.name, run.pair.scope))
            if digits is None:
                progress.plans[side] = await in_thread(compare, run)
            else:
                progress.plans[side] = await in_thread(approve, run, digits, request.user)
        if request.applies:
            for side, run in runs.items():
                refuse_incomplete(run.pair, [one.snapshot for one in progress.read.values()])
                if progress.plans[side].state != "held" and (terms is None or side in terms.writes_to):
                    pace = None if terms is None else terms.pace
                    progress.applied[side] = await apply(run, progress.plans[side], pace)
        # Whoever looked at some records only knows nothing of what else moved.
        read_up_to = looked_at if named is None else {}
        await in_thread(_conclude, store, pair, scopes, read_up_to)
    waiting = [held(plan) for plan in progress.plans.values() if plan.state == "held"]
    if waiting and request.applies and terms is None:
        raise PlanRefused("; ".join(waiting))


def _named(request: Request, entity: EntityType, known: Mapping[Side, datetime]) -> Sequence[str] | None:
    """Return the only records to look at; ``None`` for whatever moved, and where a system was never read whole."""
    keys = None if request.named is None else request.named.get(entity, ())
    return None if keys is None or len(keys) > MOST_NAMED or len(known) < len(Side) else keys


async def _what_moved(found: EntityPair, known: Mapping[Side, datetime]) -> dict[Side, Moved]:
    """Ask the systems that can tell; whatever is not here has to be read whole."""

    async def ask(side: Side) -> tuple[Side, Moved]:
        return side, await found.moved[side](known[side])

    answers = await together(*(ask(side) for side in Side if side in known and side in found.moved))
    return {side: moved for side, moved in answers if moved.complete}


def _with_what_was_read(pair: TwoWayPair, moved: Mapping[Side, Moved]) -> TwoWayPair:
    read = {side: one.records for side, one in moved.items() if one.records is not None}
    targets = {Side.LEFT: pair.left, Side.RIGHT: pair.right} | {
        side: AsRead(pair.left if side is Side.LEFT else pair.right, records) for side, records in read.items()
    }
    return replace(pair, left=targets[Side.LEFT], right=targets[Side.RIGHT])


async def _read(run: Run, side: Side, opened: OpenShop, moved: Moved | None, progress: Progress) -> None:
    if moved is not None and moved.nothing:
        run.log.info("%s: nothing moved in %s", run.pair.full_name, run.pair.peers[1])
        return
    peer = run.pair.peers[1]
    seconds, requests = opened.peer_seconds[peer], opened.peer_requests[peer]
    snapshot = await extract(run, "right", None if moved is None else moved.keys)
    progress.read[side] = Read(
        snapshot, round(opened.peer_seconds[peer] - seconds, 3), opened.peer_requests[peer] - requests
    )


def _prepare(store: Engine, pair: TwoWayPair, runs: Mapping[Side, Run], entity: EntityType) -> Scopes:
    with store.begin() as connection:
        own = ensure_scope(connection, pair.name, pair.scope)
        scopes = Scopes(own, runs[Side.LEFT].scope, runs[Side.RIGHT].scope)
        # Whoever has read both systems was let in.
        conflicts.close(connection, own, PEERS, "the credentials are accepted again", kinds=[Kind.AUTH_ERROR])
        if entity is EntityType.CUSTOMERS:
            adopt_by_reference(connection, scopes)
        try_settled(connection, pair, scopes)
        for run in runs.values():
            leases.fence(connection, run.lease)
    return scopes


def _stream(pair: TwoWayPair, side: Side) -> str:
    return f"{pair.name}/{pair.scope}/{pair.peer(side)}"


def _read_up_to(store: Engine, pair: TwoWayPair) -> dict[Side, datetime]:
    """Return since when either system may have moved; a system that was never read whole is left out."""
    known = {}
    with store.begin() as connection:
        for side in Side:
            scope = ensure_scope(connection, f"{pair.name}_{pair.peer(side)}", pair.scope)
            position = watermarks.read(connection, _stream(pair, side))
            if position is not None and snapshots.latest_snapshot(connection, scope, "right", full=True) is not None:
                known[side] = datetime.fromisoformat(position["looked_at"])
    return known


def _conclude(store: Engine, pair: TwoWayPair, scopes: Scopes, looked_at: Mapping[Side, datetime]) -> None:
    with store.begin() as connection:
        note_given_up(connection, pair, scopes)
        for side, moment in looked_at.items():
            watermarks.move(connection, _stream(pair, side), {"looked_at": moment.isoformat()})


def _note_refused(store: Engine, connection: ShopConnection, entity: EntityType, error: PeerError) -> None:
    with store.begin() as transaction:
        scope = ensure_scope(transaction, NAME, connection.scope(entity))
        found = [Found(error.peer, error.peer, Kind.AUTH_ERROR, str(error))]
        conflicts.note(transaction, scope, connection.organization, entity.value, found)


def _approved(store: Engine, connection: ShopConnection, request: Request) -> dict[tuple[str, str], str]:
    """Return the plans to approve by what they are for."""
    scopes = {connection.scope(entity) for entity in request.entities}
    found: dict[tuple[str, str], str] = {}
    with store.connect() as transaction:
        for digits in request.approve:
            plan = plans.find_plan(transaction, digits)
            if plan.scope not in scopes or not plan.pair.startswith(f"{NAME}_"):
                raise ConfigurationError(
                    f"approve: plan {plan.hash[:12]} is one of {plan.pair}/{plan.scope}, which this run leaves alone; "
                    f"it is about {', '.join(sorted(scopes))}"
                )
            found[plan.pair, plan.scope] = plan.hash
    return found


def _raise_first(done: Sequence[Progress]) -> None:
    failed = [progress for progress in done if progress.error is not None]
    if not failed:
        return
    first = failed[0].error
    assert first is not None
    if len(failed) == 1:
        raise first
    told = "; ".join(f"{progress.entity}: {progress.error}" for progress in failed)
    raise PlanRefused(told) if all(isinstance(one.error, PlanRefused) for one in failed) else SyncError(told)
