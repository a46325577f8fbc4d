"""Opens a connection: its adapter, with the limits that all runs share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.marketplace_port import Adapter, CallLimit
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.marketplace import Opening
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY


@asynccontextmanager
async def open_adapter(
    connection: MarketplaceConnection,
    engine: Engine,
    *,
    clock: Callable[[], datetime] | None = None,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
) -> AsyncIterator[Adapter]:
    """Open an account for the time of the block. Sends nothing.

    Arguments:
        engine: the store's database.
        clock: the time now; the system's by default.
        throttle: what all operations are asked through; by default the limits that all runs share.
        read_delay: seconds before a read that failed is sent again.
    """
    access = connection.access
    calls = connection.kind.calls(access)

    def gate(operation: str) -> Throttle:
        if operation not in calls:
            raise ConfigurationError(f"{connection.marketplace} has no limit for the operation {operation}")
        return throttle or PeerGate(engine, _limits(calls[operation]), f"{access.server} {operation}")

    opening = Opening(gate, read_delay=read_delay) if clock is None else Opening(gate, clock, read_delay)
    async with connection.kind.open(access, opening) as adapter:
        yield adapter


def _limits(call: CallLimit) -> PeerLimits:
    return PeerLimits(rate=call.rate, burst=call.burst, longest_wait=call.longest_wait)
