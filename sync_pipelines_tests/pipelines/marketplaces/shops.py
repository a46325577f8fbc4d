"""A WooCommerce stand-in that is pulled as a marketplace, and what is stored of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import CycleOutcome, Request, run_cycle
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.access import DEMO_KEY
from sync_pipelines.settings import Secret
from sync_pipelines.store.marketplaces import connections, streams
from sync_pipelines.store.marketplaces.connections import ConnectionState

LOG = logging.getLogger("marketplaces")


@dataclass
class Pulled:
    """An account that is connected, and what is stored of it."""

    connection: MarketplaceConnection
    engine: Engine

    def cycle(self, *others: MarketplaceConnection, **options: Any) -> CycleOutcome:
        """Run a cycle over this connection and others."""
        request = Request(**{"run_id": "test", "read_delay": 0.0, **options})
        return asyncio.run(run_cycle(self.engine, [self.connection, *others], request, LOG))

    @property
    def state(self) -> ConnectionState:
        """The connection as the table has it."""
        with self.engine.connect() as connection:
            return next(one for one in connections.states(connection) if one.name == self.connection.name)

    def watermark(self, stream: Stream) -> Any:
        """The state of a stream's watermark; ``None`` before the first."""
        with self.engine.connect() as connection:
            found = streams.read(connection, self.state.id, stream).watermark
        return None if found is None else found.state

    def rows(self, sql: str, **parameters: object) -> list[Any]:
        """Rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def statuses(self) -> dict[str, str]:
        """Order -> status, of those that are not deleted."""
        return dict(self.rows("SELECT order_key, status FROM sync.marketplace_order WHERE deleted_at IS NULL"))


@dataclass
class PulledShop(Pulled):
    """A shop that is connected."""

    standin: WooCommerceStandIn


def connected(name: str, url: str, **fields: Any) -> MarketplaceConnection:
    """Return a connection to a shop."""
    access = {
        "url": url,
        "consumer_key": Secret(DEMO_KEY.consumer_key),
        "consumer_secret": Secret(DEMO_KEY.consumer_secret),
    }
    row = {"name": name, "organization": "acme", "marketplace": "woocommerce", "account": name, "woocommerce": access}
    return MarketplaceConnection.model_validate({**row, **fields})


@contextmanager
def pulled_shop(engine: Engine, standin: WooCommerceStandIn | None = None) -> Iterator[PulledShop]:
    """Serve a shop and connect it."""
    standin = standin or WooCommerceStandIn()
    with standin.running() as url:
        yield PulledShop(connected("acme-shop", url), engine, standin)
