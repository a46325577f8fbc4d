"""What a run of the ledger pipeline does: an import, a resync, a look at the tip, or deriving days."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, PeerError
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.live import refresh_pending
from sync_pipelines.pipelines.ledger.opening import OpenLedger, open_ledger
from sync_pipelines.pipelines.ledger.projecting import Derived, day_groups, derive
from sync_pipelines.pipelines.ledger.resync import ResyncOutcome, resync_ledger
from sync_pipelines.pipelines.ledger.source import Tip
from sync_pipelines.store.ledger import days, positions
from sync_pipelines.store.ledger.positions import Position

Mode = StrEnum("Mode", [("import", "import"), ("resync", "resync"), ("plan", "plan")])
"""``import``: store what is committed. ``resync``: the same, from the last common block, replacing what follows it.
``plan``: only look. Run config is written with the members' names."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is to do.

    Attributes:
        user: who launched it, for the audit log.
    """

    run_id: str
    mode: Mode
    batch_size: int
    user: str = ""


@dataclass
class Done:
    """What a run came to, as far as it came.

    Attributes:
        before: position when it began; ``None`` before the first import.
        tip: what the canister said first; ``None`` when it could not be asked.
        imported: the import.
        resynced: the resync around it.
        pending: entries of the block in the making, where it is looked at.
        requests, received, seconds: what the run cost: requests and bytes at the network, and time.
    """

    before: Position | None = None
    tip: Tip | None = None
    imported: ImportOutcome | None = None
    resynced: ResyncOutcome | None = None
    pending: int | None = None
    requests: int = 0
    received: int = 0
    seconds: float = 0.0


def position_of(engine: Engine, name: str) -> Position | None:
    """Return how far a connection's ledger was read; ``None`` before the first import."""
    with engine.connect() as connection:
        return positions.find(connection, name)


async def carry_out(
    connection: LedgerConnection, engine: Engine, request: Request, log: logging.Logger, done: Done
) -> None:
    """Do what a run is asked to, and note in ``done`` what was reached, also when it ends with an error.

    Raises:
        Diverged: the canister's ledger is another one than what is stored; resync.
        LeaseHeld: another run works on the connection.
        PeerError: the canister cannot be asked.
    """
    began = time.monotonic()
    async with open_ledger(connection, engine) as opened:
        try:
            await _carry_out(opened, engine, request, log, done)
        finally:
            done.requests = sum(opened.stats.requests.values())
            done.received = opened.stats.bytes_received
            done.seconds = time.monotonic() - began


async def _carry_out(opened: OpenLedger, engine: Engine, request: Request, log: logging.Logger, done: Done) -> None:
    connection = opened.connection
    done.before = await in_thread(position_of, engine, connection.name)
    if request.mode is Mode["plan"]:
        done.tip = await opened.source.tip()
        log.info("%s", what_waits(done.before, done.tip))
        return
    settings = ImportSettings(batch_size=request.batch_size)
    known = (engine, opened.source, connection.name, connection.canister_id)
    if request.mode is Mode["resync"]:
        done.resynced = await resync_ledger(*known, run_id=request.run_id, log=log, settings=settings, by=request.user)
        done.imported = done.resynced.imported
    else:
        done.imported = await import_ledger(*known, run_id=request.run_id, log=log, settings=settings)
    done.tip = done.imported.tip
    if connection.live:
        try:
            done.pending = await refresh_pending(engine, opened.canister, connection.name)
        except PeerError as error:
            # What the run was for is done.
            log.warning("the block in the making could not be looked at: %s", error)


def what_waits(before: Position | None, tip: Tip) -> str:
    """Say what an import would do."""
    here = tip.data_start if before is None or before.next_position is None else before.next_position
    blocks = tip.blocks - (before.blocks if before else 0)
    if tip.end < here:
        return f"the canister's ledger ends at {tip.end}, before what is stored ({here}): a node that lags, or a resync"
    if tip.end == here:
        return f"nothing new: everything up to position {here} is stored"
    size = "" if tip.unit == "blocks" else f" {tip.end - here} {tip.unit},"
    return f"{blocks} blocks,{size} would be imported from position {here} to {tip.end}"


@dataclass
class DaysDone:
    """What deriving some days came to.

    Attributes:
        days: those that have blocks.
        derived: what was made of them.
    """

    days: list[date] = field(default_factory=list)
    derived: Derived = field(default_factory=Derived)
    seconds: float = 0.0


async def derive_days(
    engine: Engine, name: str, first: date, last: date, projections: Collection[str], log: logging.Logger
) -> DaysDone:
    """Derive the days of a range that have blocks, a group of neighboring days at a time.

    Raises:
        ConfigurationError: nothing was ever imported for the connection.
        DatabaseUnavailable: the database cannot be used; the groups before are derived.
    """
    began, done = time.monotonic(), DaysDone()
    for group in day_groups(await in_thread(_held, engine, name, first, last)):
        done.derived.add(await in_thread(derive, engine, name, group[0].day, group[-1].day, projections))
        done.days += [one.day for one in group]
        log.info("derived %s to %s, %d entries", group[0].day, group[-1].day, sum(one.entries for one in group))
    done.seconds = time.monotonic() - began
    return done


def _held(engine: Engine, name: str, first: date, last: date) -> list[days.HeldDay]:
    position = position_of(engine, name)
    if position is None:
        raise ConfigurationError(
            f"Nothing was imported for the connection {name} yet. Run `sync-pipelines ledger import` first."
        )
    with engine.connect() as connection:
        return days.held(connection, position.canister, first, last)
