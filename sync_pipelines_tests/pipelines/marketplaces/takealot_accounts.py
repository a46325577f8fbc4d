"""A stand-in of Takealot that is pulled as a marketplace by its own clock, and what is stored of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Engine, text

from sync_pipelines.core.marketplace_port import Adapter
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.pipelines.marketplaces.opening import open_adapter
from sync_pipelines.pipelines.marketplaces.pulling import StreamOutcome, pull_stream, pull_window
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn
from sync_pipelines.settings import Secret
from sync_pipelines.store import leases
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.marketplaces import streams
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.systems.throttle import NoThrottle
from sync_pipelines_tests.pipelines.marketplaces.shops import LOG

T = TypeVar("T")


@dataclass
class Account:
    """A stand-in that is connected; runs go by its clock."""

    standin: TakealotStandIn
    connection: MarketplaceConnection
    engine: Engine

    def pull(self, *which: Stream) -> dict[Stream, StreamOutcome]:
        """Pull orders and products once."""

        async def pulled(writer: FencedWriter, number: int) -> dict[Stream, StreamOutcome]:
            async with self._adapter() as adapter:
                return {one: await pull_stream(writer, adapter, number, one, LOG) for one in which or tuple(Stream)}

        return self._writing(pulled)

    def read_again(self, first: datetime, last: datetime) -> StreamOutcome:
        """Read the orders of a window again."""

        async def pulled(writer: FencedWriter, number: int) -> StreamOutcome:
            async with self._adapter() as adapter:
                return await pull_window(writer, adapter.orders_between(first, last), number, LOG)

        return self._writing(pulled)

    def pass_time(self, seconds: float) -> None:
        """Let the stand-in's time pass."""
        self.standin.world.clock.advance(seconds)

    def watermark(self, stream: Stream) -> Any:
        """The state of a stream's watermark."""
        with self.engine.connect() as connection:
            found = streams.read(connection, self.number, stream).watermark
        return None if found is None else found.state

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql)).mappings()]

    def statuses(self) -> dict[str, str]:
        """Order -> status."""
        return {row["order_key"]: row["status"] for row in self.rows("SELECT * FROM sync.marketplace_order")}

    def offered(self) -> dict[str, Decimal]:
        """Product -> price, of those that are not deleted."""
        found = self.rows("SELECT product_key, price FROM sync.marketplace_product WHERE deleted_at IS NULL")
        return {row["product_key"]: row["price"] for row in found}

    def asked(self, path: str) -> list[str]:
        """The queries that a list was asked with since the last call of this."""
        log = self.standin.world.requests
        found = [entry.query for entry in log if entry.path == f"/v1/{path}"]
        log.clear()
        return found

    @property
    def number(self) -> int:
        """The connection's row."""
        return int(self.rows("SELECT id FROM sync.marketplace_connection")[0]["id"])

    def _adapter(self) -> AbstractAsyncContextManager[Adapter]:
        world = self.standin.world
        return open_adapter(self.connection, self.engine, clock=world.now, throttle=NoThrottle(), read_delay=0.0)

    def _writing(self, work: Callable[[FencedWriter, int], Coroutine[Any, Any, T]]) -> T:
        with self.engine.begin() as transaction:
            lease = leases.take(transaction, ensure_scope(transaction, NAME, "acme-takealot").lease, "test", 60)
        writer = FencedWriter(self.engine, lease)
        try:
            return asyncio.run(work(writer, self.number))
        finally:
            writer.close()
            with self.engine.begin() as transaction:
                leases.release(transaction, lease)


def connected(url: str, name: str = "acme-takealot", **fields: Any) -> MarketplaceConnection:
    """Return a connection to an account that may be asked as often as one likes."""
    access = {"url": url, "api_key": Secret(DEMO_KEY), "limits": {"requests_per_second": 1000, "burst": 1000}}
    row = {"name": name, "organization": "acme", "marketplace": "takealot", "account": name}
    return MarketplaceConnection.model_validate({**row, "takealot": {**access, **fields}})


@contextmanager
def account(engine: Engine, standin: TakealotStandIn, **fields: Any) -> Iterator[Account]:
    """Serve a stand-in and connect it."""
    with standin.running() as url:
        connection = connected(url, **fields)
        assert asyncio.run(run_cycle(engine, [connection], Request("register", streams=()), LOG)).success
        standin.world.requests.clear()
        yield Account(standin, connection, engine)
