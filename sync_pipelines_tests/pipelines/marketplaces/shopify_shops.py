"""A Shopify stand-in that is pulled as a marketplace, and what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.sandbox.shopify import CLIENT_ID, CLIENT_SECRET, ShopifyStandIn
from sync_pipelines.settings import Secret
from sync_pipelines_tests.pipelines.marketplaces.shops import Pulled


@dataclass
class PulledShopify(Pulled):
    """A shop that is connected."""

    standin: ShopifyStandIn

    def orders(self) -> dict[str, str]:
        """Order -> total of those that are not deleted."""
        return dict(self.rows("SELECT order_key, total::text FROM sync.marketplace_order WHERE deleted_at IS NULL"))


def connected(url: str, **access: Any) -> MarketplaceConnection:
    """Return a connection to a shop."""
    way = access or {"client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET)}
    row = {"name": "acme-shopify", "organization": "acme", "marketplace": "shopify", "shopify": {"url": url, **way}}
    return MarketplaceConnection.model_validate(row)


@contextmanager
def pulled(engine: Engine, standin: ShopifyStandIn, **access: Any) -> Iterator[PulledShopify]:
    """Serve a shop and connect it."""
    # Plenty: how the budget is kept is the client's to show.
    standin.world.bucket.size = standin.world.bucket.level = standin.world.bucket.restore_rate = 1e6
    standin.world.bulk_polls = 0
    with standin.running() as url:
        yield PulledShopify(connected(url, **access), engine, standin)
