"""The Amazon stand-in, pulled by the adapter with a clock and a budget of the test."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.amazon import AMAZON, AmazonAccess
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import register
from sync_pipelines.pipelines.marketplaces.marketplace import Opening
from sync_pipelines.pipelines.marketplaces.pulling import StreamOutcome, pull_stream
from sync_pipelines.sandbox.amazon import (
    CLIENT_ID,
    CLIENT_SECRET,
    REGIONS,
    SELLER_ID,
    AmazonStandIn,
    AmazonUrls,
    refresh_token,
)
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.settings import Secret
from sync_pipelines.store import leases
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.systems.amazon import LIMITS
from sync_pipelines.systems.throttle import NoThrottle, Throttle

LOG = logging.getLogger("marketplaces")


@dataclass
class Paced(NoThrottle):
    """Lets time pass on a clock before each call, as a real throttle waits."""

    clock: Clock
    seconds: float

    async def admit(self, peer: str) -> None:
        """Let it pass."""
        self.clock.advance(self.seconds)


@dataclass
class Budget(NoThrottle):
    """Lets some calls through and refuses the rest at once."""

    left: int

    async def admit(self, peer: str) -> None:
        """Take one."""
        if self.left == 0:
            raise PeerUnavailable(peer, FailureKind.RATE_LIMITED, "the budget is used up")
        self.left -= 1

    async def failed(self, peer: str, error: PeerError) -> None:
        """Keep nothing."""


def connected(name: str, urls: AmazonUrls, region: str = "na", **fields: Any) -> MarketplaceConnection:
    """Return a connection to a region of the stand-in."""
    access = {
        "region": region,
        "seller_id": SELLER_ID,
        "marketplaces": REGIONS[region],
        "client_id": CLIENT_ID,
        "client_secret": Secret(CLIENT_SECRET),
        "refresh_token": Secret(refresh_token(region)),
        "url": urls.region(region),
        "token_url": urls.token,
        **fields,
    }
    row = {"name": name, "organization": "acme", "marketplace": "amazon", "account": name, "amazon": access}
    return MarketplaceConnection.model_validate(row)


@dataclass
class Seller:
    """A seller of the stand-in, connected in one or more regions."""

    standin: AmazonStandIn
    urls: AmazonUrls
    engine: Engine
    connections: dict[str, MarketplaceConnection] = field(default_factory=dict)

    def clock(self) -> datetime:
        """The stand-in's time, which is ours as well."""
        return datetime.fromtimestamp(self.standin.world.clock.now(), UTC)

    def later(self, minutes: float) -> None:
        """Let time pass."""
        self.standin.world.clock.advance(60.0 * minutes)

    def pull(self, stream: Stream = Stream.ORDERS, *, region: str = "na", pages: int | None = None) -> StreamOutcome:
        """Pull a stream of a region. ``pages``: how often the list of orders may be asked for."""
        numbers = register(self.engine, list(self.connections.values()))
        connection = self.connections[region]
        with self.engine.begin() as transaction:
            lease = leases.take(transaction, ensure_scope(transaction, NAME, connection.name).lease, "test", 60)
        writer = FencedWriter(self.engine, lease)
        try:
            return asyncio.run(self._pull(writer, connection.access, numbers[connection.name], stream, pages))
        finally:
            writer.close()
            with self.engine.begin() as transaction:
                leases.release(transaction, lease)

    async def _pull(
        self, writer: FencedWriter, access: Any, number: int, stream: Stream, pages: int | None
    ) -> StreamOutcome:
        assert isinstance(access, AmazonAccess)
        budget = NoThrottle() if pages is None else Budget(pages)

        def throttle(operation: str) -> Throttle:
            if operation == "searchOrders":
                return budget
            return Paced(self.standin.world.clock, 1 / (LIMITS[operation].rate or 1e9))

        opening = Opening(throttle, self.clock, 0.0)
        async with AMAZON.open(access, opening) as adapter:
            return await pull_stream(writer, adapter, number, stream, LOG)

    def rows(self, sql: str, **parameters: object) -> list[Any]:
        """Rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def statuses(self) -> dict[str, str]:
        """Order -> status."""
        return dict(self.rows("SELECT order_key, status FROM sync.marketplace_order WHERE deleted_at IS NULL"))

    def queries(self, part: str) -> list[str]:
        """Queries of the requests whose path contains a text."""
        return [request.query for request in self.standin.world.requests if part in request.path]


@contextmanager
def amazon_seller(engine: Engine, standin: AmazonStandIn, *regions: str, **fields: Any) -> Iterator[Seller]:
    """Serve a seller and connect the regions."""
    with standin.running() as urls:
        seller = Seller(standin, urls, engine)
        seller.connections = {
            region: connected(f"amazon-{region}", urls, region, **fields) for region in regions or ("na",)
        }
        yield seller
