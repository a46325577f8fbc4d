"""The client of the pipelines reads the demo's shop, signed over plain HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sync_pipelines.core.seal import Sweep
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.systems.woocommerce import Keys, Window, WooCommerceClient, woocommerce_transport


def test_given_the_demo_when_the_client_reads_it_then_everything_is_understood_and_counted() -> None:
    standin = WooCommerceStandIn.demo()

    async def read(url: str) -> dict[str, int]:
        keys = Keys(DEMO_KEY.consumer_key, DEMO_KEY.consumer_secret)
        async with woocommerce_transport(url, keys) as transport:
            client = WooCommerceClient(transport)
            assert await client.check() == []
            assert (await client.settings()).currency == "EUR"
            counts = {}
            for name in ("products", "customers", "orders"):
                sweep = Sweep()
                pages = [page async for page in getattr(client, name).pages(sweep)]
                assert [row for page in pages for row in page.malformed] == []
                counts[name] = sum(len(page.rows) for page in pages)
            changed = Window(since=datetime.now(UTC) - timedelta(minutes=5))
            counts["changed"] = sum([len(page.rows) async for page in client.products.pages(Sweep(), changed)])
            return counts

    # The client asks for users of every role, the administrator among them.
    with standin.running() as url:
        standin.world.edit_product(11, regular_price="46.90")
        assert asyncio.run(read(url)) == {"products": 200, "customers": 151, "orders": 120, "changed": 1}
