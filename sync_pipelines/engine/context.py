"""What every step of a run shares: the database, the pair, the lease, and where to tell the story."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sync_pipelines.core.errors import DatabaseUnavailable, LeaseHeld, LeaseLost
from sync_pipelines.core.fencing import fenced_by
from sync_pipelines.engine.hold import Hold
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.stopping import Stop, current_stop
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease
from sync_pipelines.store.outage import outages_in_words
from sync_pipelines.store.scopes import Scope, ensure_scope

LEASE_SECONDS = 60.0
"""A killed run blocks its scope for at most this long; a living one renews at a third of it."""

LOOK_SECONDS = 0.5
"""A run that waits for its turn looks this often."""


@dataclass(frozen=True)
class Run:
    """One run's work on one scope, under its lease.

    Attributes:
        engine: the store's database.
        pair: the two sides.
        scope: the scope in the database.
        run_id: id of the run, for people and for Dagster.
        log: where the story of the run goes.
        lease: fencing token; every transaction that writes checks it.
        stop: whether somebody asked the run to end.
    """

    engine: Engine
    pair: Pair
    scope: Scope
    run_id: str
    log: logging.Logger
    lease: Lease
    stop: Stop = field(default_factory=current_stop)


@asynccontextmanager
async def working_on(
    engine: Engine,
    pair: Pair,
    run_id: str,
    log: logging.Logger,
    *,
    lease_seconds: float = LEASE_SECONDS,
    patience: float = 0.0,
) -> AsyncIterator[Run]:
    """Hold the scope's lease for the time of the block and keep renewing it.

    Within the block no write is sent to a peer once the lease may be somebody else's (:mod:`core.fencing`).

    Arguments:
        patience: seconds to wait for another run of the scope to end.

    Raises:
        LeaseHeld: another run works on the scope.
        LeaseLost: the lease was taken over while we worked; the block is cancelled.
        DatabaseUnavailable: the database cannot be reached, went away, or has no connection to spare.
    """
    held = holding(engine, pair.name, pair.scope, run_id, log, lease_seconds=lease_seconds, patience=patience)
    async with held as (scope, lease):
        yield Run(engine, pair, scope, run_id, log, lease)


@asynccontextmanager
async def holding(
    engine: Engine,
    pair: str,
    name: str,
    run_id: str,
    log: logging.Logger,
    *,
    lease_seconds: float = LEASE_SECONDS,
    patience: float = 0.0,
) -> AsyncIterator[tuple[Scope, Lease]]:
    """Hold a scope's lease as :func:`working_on` does, for work that is no reconcile of two sides.

    Arguments:
        pair: the pipeline, e.g. ``"ledger"``.
        name: the connection.
        patience: seconds to wait for another run of the scope to end.

    Raises:
        LeaseHeld: another run works on the scope.
        LeaseLost: the lease was taken over while we worked; the block is cancelled.
        DatabaseUnavailable: the database cannot be reached, went away, or has no connection to spare.
    """
    with outages_in_words(engine):
        scope, hold = await _take(engine, pair, name, run_id, log, lease_seconds, patience)
        owner = asyncio.current_task()
        assert owner is not None
        lost: list[LeaseLost] = []
        keeper = asyncio.create_task(_keep(engine, hold, lease_seconds, owner, lost, log))
        try:
            with fenced_by(hold.check):
                yield scope, hold.lease
        except asyncio.CancelledError:
            if lost and not owner.uncancel():
                raise lost[0] from None
            raise
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            _release(engine, hold.lease, log)


def _release(engine: Engine, lease: Lease, log: logging.Logger) -> None:
    try:
        with outages_in_words(engine), engine.begin() as connection:
            leases.release(connection, lease)
    except DatabaseUnavailable as error:
        log.warning("the lease on %s is not given back and runs out by itself: %s", lease.name, error)


async def _take(
    engine: Engine, pair: str, name: str, run_id: str, log: logging.Logger, lease_seconds: float, patience: float
) -> tuple[Scope, Hold]:
    deadline = time.monotonic() + patience
    told = False
    while True:
        asked_at = time.monotonic()
        try:
            scope, lease = await in_thread(_try_take, engine, pair, name, run_id, lease_seconds)
            return scope, Hold(lease, asked_at, lease_seconds)
        except LeaseHeld as held:
            if time.monotonic() >= deadline:
                raise
            if not told:
                log.info("waiting for its turn: %s", held)
                told = True
        await asyncio.sleep(LOOK_SECONDS)


def _try_take(engine: Engine, pair: str, name: str, run_id: str, seconds: float) -> tuple[Scope, Lease]:
    with engine.begin() as connection:
        scope = ensure_scope(connection, pair, name)
        return scope, leases.take(connection, scope.lease, run_id, seconds)


async def _keep(
    engine: Engine,
    hold: Hold,
    seconds: float,
    owner: asyncio.Task[object],
    lost: list[LeaseLost],
    log: logging.Logger,
) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        asked_at = time.monotonic()
        try:
            await in_thread(_renew, engine, hold.lease, seconds)
        except LeaseLost as error:
            lost.append(error)
            owner.cancel()
            return
        except SQLAlchemyError as error:
            # There is time for two more attempts before the lease runs out, and the fence guards every write.
            log.warning("the lease on %s could not be renewed: %s", hold.lease.name, type(error).__name__)
        else:
            hold.renewed(asked_at, seconds)


def _renew(engine: Engine, lease: Lease, seconds: float) -> None:
    with engine.begin() as connection:
        leases.renew(connection, lease, seconds)
