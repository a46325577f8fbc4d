"""Both systems of a shop, served, and clients for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Source
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient, OdooSession
from sync_pipelines.systems.woocommerce import Keys, WooCommerceClient, woocommerce_transport

T = TypeVar("T")


@dataclass(frozen=True)
class Peers:
    """A served shop and a served database."""

    shop: WooCommerceStandIn
    odoo: OdooStandIn
    shop_url: str
    odoo_url: str

    def run(self, work: Callable[[WooCommerceClient, OdooClient], Awaitable[T]]) -> T:
        """Do some work with clients of both."""

        async def opened() -> T:
            keys = Keys(DEMO_KEY.consumer_key, DEMO_KEY.consumer_secret)
            async with (
                woocommerce_transport(self.shop_url, keys) as transport,
                OdooSession(self.odoo_url, key=SYNC_KEY) as session,
            ):
                return await work(WooCommerceClient(transport), OdooClient(session))

        return asyncio.run(opened())


@contextlib.contextmanager
def serving(shop: WooCommerceStandIn, odoo: OdooStandIn) -> Iterator[Peers]:
    """Serve both on loopback."""
    with shop.running() as shop_url, odoo.running() as odoo_url:
        yield Peers(shop, odoo, shop_url, odoo_url)


async def everything(source: Source, sweep: Sweep | None = None) -> dict[str, Record]:
    """Return all records of a side by key; a sweep that misses some, or counts wrongly, is an error."""
    report = sweep or Sweep()
    records = {record.key: record async for record in _flat(source, report)}
    assert report.gaps == []
    assert report.declared == report.seen
    return records


async def _flat(source: Source, sweep: Sweep) -> AsyncIterator[Record]:
    async for page in source.sweep(sweep):
        for record in page:
            yield record
