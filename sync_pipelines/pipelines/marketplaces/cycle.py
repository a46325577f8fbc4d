"""A cycle: all active connections are pulled, several at a time, each under its lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, LeaseHeld, LeaseLost, PeerError
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.engine.context import LEASE_SECONDS, holding
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.opening import open_adapter
from sync_pipelines.pipelines.marketplaces.pulling import StreamOutcome, pull_stream, pull_window
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.marketplaces import connections as table
from sync_pipelines.store.marketplaces import streams
from sync_pipelines.store.marketplaces.connections import ConnectionStatus, Described, SyncStatus
from sync_pipelines.systems.transport import READ_DELAY


@dataclass(frozen=True, slots=True)
class Days:
    """Days that are read again: ``first`` included, ``last`` not. Aware, UTC."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """What a cycle is to do.

    Attributes:
        streams: which streams are pulled.
        anew: forget how far they were read, and read everything that the marketplaces still tell of.
        days: read the orders of these days again instead of what changed.
        read_delay, lease_seconds: for tests.
    """

    run_id: str
    streams: tuple[Stream, ...] = tuple(Stream)
    anew: bool = False
    days: Days | None = None
    read_delay: float = READ_DELAY
    lease_seconds: float = LEASE_SECONDS


@dataclass
class ConnectionOutcome:
    """What a cycle came to for one connection.

    Attributes:
        error: why it failed, wholly or in part; ``None`` when it did not.
        skipped: why nothing was done: another run is at it.
    """

    connection: str
    marketplace: str
    streams: dict[Stream, StreamOutcome] = field(default_factory=dict)
    status: SyncStatus = SyncStatus.SUCCESS
    error: str | None = None
    skipped: str | None = None

    @property
    def errors(self) -> list[dict[str, str]]:
        """What the result of the cycle lists: failures, and records that could not be stored."""
        found = [self.skipped] if self.skipped else [self.error] if self.error else []
        found += [
            f"{stream.value} {error.key or '(no key)'}: {error.message}"
            for stream, outcome in self.streams.items()
            for error in outcome.stored.unstored
        ]
        return [{"connectionId": self.connection, "marketplaceId": self.marketplace, "error": text} for text in found]


@dataclass
class CycleOutcome:
    """What a cycle came to."""

    started_at: datetime
    connections: list[ConnectionOutcome] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """False when there were connections and all of them failed."""
        return not self.connections or self.failed < len(self.connections)

    @property
    def failed(self) -> int:
        """Connections that failed, wholly or in part."""
        return sum(one.error is not None for one in self.connections)

    @property
    def result(self) -> dict[str, Any]:
        """The result in the words of the routes."""
        skipped = sum(one.skipped is not None for one in self.connections)
        return {
            "success": self.success,
            "totalConnections": len(self.connections),
            "successfulConnections": len(self.connections) - self.failed - skipped,
            "failedConnections": self.failed,
            "skippedConnections": skipped,
            "errors": [error for one in self.connections for error in one.errors],
        }


def described(connection: MarketplaceConnection) -> Described:
    """Return a connection as the table has it."""
    one = connection
    return Described(one.name, one.organization, one.marketplace, one.account, one.active)


def register(engine: Engine, connections: Sequence[MarketplaceConnection]) -> dict[str, int]:
    """Bring the table in line with all connections of the file: name -> id."""
    with engine.begin() as transaction:
        return table.register(transaction, [described(one) for one in connections])


async def run_cycle(
    engine: Engine,
    connections: Sequence[MarketplaceConnection],
    request: Request,
    log: logging.Logger,
    names: Sequence[str] | None = None,
) -> CycleOutcome:
    """Pull all active connections. One that fails does not keep the others from being pulled.

    Arguments:
        connections: all of the connections file.
        names: only these; by default all. Inactive ones are passed over in any case.

    Raises:
        ConfigurationError: a name is not that of a connection.
        DatabaseUnavailable: the database cannot be used.
        RunStopped: the run was asked to end.
    """
    known = {one.name for one in connections}
    if names is not None and (unknown := sorted(set(names) - known)):
        raise ConfigurationError(f"there is no connection {unknown[0]!r}; known: {', '.join(sorted(known)) or 'none'}")
    ids = await in_thread(register, engine, connections)
    chosen = [one for one in connections if one.active and (names is None or one.name in names)]
    slots = {one.marketplace: asyncio.Semaphore(one.kind.at_once) for one in chosen}
    outcome = CycleOutcome(datetime.now(UTC))

    async def pulled(connection: MarketplaceConnection) -> ConnectionOutcome:
        async with slots[connection.marketplace]:
            return await pull_connection(engine, connection, ids[connection.name], request, log)

    outcome.connections = await together(*(pulled(one) for one in chosen))
    if request.days is None:
        await in_thread(_note, engine, request.run_id, outcome)
    return outcome


def _note(engine: Engine, run_id: str, outcome: CycleOutcome) -> None:
    with engine.begin() as transaction:
        table.note_cycle(transaction, run_id, outcome.started_at, outcome.success, outcome.result)


async def pull_connection(
    engine: Engine, connection: MarketplaceConnection, connection_id: int, request: Request, log: logging.Logger
) -> ConnectionOutcome:
    """Pull one connection under its lease. How it ended is in the outcome and in the table of connections."""
    outcome = ConnectionOutcome(connection.name, connection.marketplace)
    told = log.getChild(connection.name)
    try:
        held = holding(engine, NAME, connection.name, request.run_id, told, lease_seconds=request.lease_seconds)
        async with held as (_, lease):
            writer = FencedWriter(engine, lease)
            try:
                await _Connection(engine, connection, connection_id, writer, request, told).pull(outcome)
            finally:
                writer.close()
    except LeaseHeld as error:
        outcome.skipped = str(error)
        log.warning("%s", error)
    except LeaseLost as error:
        # Whoever has it now says how the connection stands.
        outcome.status, outcome.error = SyncStatus.ERROR, str(error)
    return outcome


@dataclass
class _Connection:
    """One connection under its lease."""

    engine: Engine
    connection: MarketplaceConnection
    id: int
    writer: FencedWriter
    request: Request
    log: logging.Logger

    async def pull(self, outcome: ConnectionOutcome) -> None:
        await in_thread(self.writer.transaction, lambda transaction: table.begun(transaction, self.id))
        opened = open_adapter(self.connection, self.engine, read_delay=self.request.read_delay)
        try:
            async with opened as adapter:
                days = self.request.days
                if days is not None:
                    pages = adapter.orders_between(days.first, days.last)
                    outcome.streams[Stream.ORDERS] = await pull_window(self.writer, pages, self.id, self.log)
                for stream in self.request.streams if days is None else ():
                    if self.request.anew:
                        await in_thread(self.writer.transaction, self._restart(stream))
                    outcome.streams[stream] = await pull_stream(self.writer, adapter, self.id, stream, self.log)
        except (ConfigurationError, PeerError) as error:
            outcome.error = str(error)
        finally:
            # A run that is stopped says so, too: nothing is in progress any more.
            status = self._judge(outcome)
            await in_thread(self.writer.transaction, self._ended(outcome, status))

    def _restart(self, stream: Stream) -> Any:
        return lambda transaction: streams.restart(transaction, self.id, stream)

    def _ended(self, outcome: ConnectionOutcome, status: ConnectionStatus) -> Any:
        return lambda transaction: table.ended(transaction, self.id, outcome.status, status, outcome.error)

    def _judge(self, outcome: ConnectionOutcome) -> ConnectionStatus:
        failed = {stream: one for stream, one in outcome.streams.items() if one.error is not None}
        if failed:
            outcome.error = _failure(self.connection, failed)
        unread = [stream for stream in self._wanted if stream not in outcome.streams]
        if outcome.error is None and not unread:
            return ConnectionStatus.CONNECTED
        outcome.error = outcome.error or f"stopped before {unread[0].value} were read to their end"
        read = len(outcome.streams) - len(failed)
        outcome.status = SyncStatus.PARTIAL if read else SyncStatus.ERROR
        if any(one.refused for one in failed.values()):
            return ConnectionStatus.EXPIRED
        return ConnectionStatus.CONNECTED if read else ConnectionStatus.ERROR

    @property
    def _wanted(self) -> Sequence[Stream]:
        return (Stream.ORDERS,) if self.request.days is not None else self.request.streams


def _failure(connection: MarketplaceConnection, failed: Mapping[Stream, StreamOutcome]) -> str:
    what = "both orders and products" if len(failed) == len(Stream) else next(iter(failed)).value
    reasons = "; ".join(dict.fromkeys(str(one.error) for one in failed.values()))
    return f"Failed to fetch {what} from {connection.kind.title}: {reasons}"
