"""What a shop costs: a sync in which nothing moved, and many changed products written by batches.

The Dagster job runs in this process, on an embedded PostgreSQL; both systems are stand-ins in processes of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult, in_process_executor
from sqlalchemy import Engine

from benchmarks.measure import Report, run
from benchmarks.server import fresh_database, fresh_server
from benchmarks.shop_peers import NAME, ServedPeer, connection, peers
from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.seal import Sweep
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.commerce.asset_keys import JOB
from sync_pipelines.pipelines.commerce.assets import STEP
from sync_pipelines.pipelines.commerce.automation import range_tags
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.definitions import definitions_of
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.sandbox.woocommerce import DEMO_KEY
from sync_pipelines.systems.woocommerce import Keys, Product, WooCommerceClient, woocommerce_transport

RECORDS = 10_000
CHANGED = 1_000
MOST_TO_SHOP, MOST_TO_ODOO, MOST_SECONDS = 110, 60, 5.0
LEAST_OF_BATCHES = 0.9
REQUEST_SECONDS, ITEM_SECONDS = 0.24, 0.0232
"""WooCommerce 11 takes 0.24 s for a list of 50 products, and 1.4 s for a batch of 50 updates: 36 a second."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the job.

    Attributes:
        cpu: seconds of this process.
        to_shop, to_odoo: requests that arrived there.
        said: entity -> what the run said of it.
    """

    seconds: float
    cpu: float
    to_shop: int
    to_odoo: int
    said: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """Both systems, the database in between, and Dagster."""

    shop: ServedPeer
    odoo: ServedPeer
    engine: Engine
    instance: DagsterInstance

    @property
    def connection(self) -> ShopConnection:
        """The connection; where everything is changed nobody is to be asked."""
        return connection(self.shop.url, self.odoo.url, guard={"enabled": False})

    def synchronized(self, entity: EntityType | None = None) -> Measured:
        """Synchronize one entity, or all of them."""
        one = self.connection
        job = Definitions.merge(
            definitions_of((one,)),
            Definitions(resources={"store": self.engine, "options": RunOptions()}, executor=in_process_executor),
        ).resolve_job_def(JOB)
        before = self.shop.requests, self.odoo.requests
        began, cpu = time.perf_counter(), time.process_time()
        result = job.execute_in_process(
            instance=self.instance,
            partition_key=None if entity is None else f"{NAME}.{entity}",
            tags=range_tags(one) if entity is None else {},
            run_config={
                "ops": {STEP: {"config": {}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        after = self.shop.requests, self.odoo.requests
        return Measured(seconds, cpu, after[0] - before[0], after[1] - before[1], _said(result))


def measure(records: int) -> Report:
    """Adopt everything once, then measure."""
    report = Report()
    with _bench(records) as bench:
        first = bench.synchronized()
        assert all(said["conflicts"]["open"] == 0 for said in first.said.values()), first.said
        bench.synchronized()
        nothing = bench.synchronized()
        assert _writes(nothing) == 0, nothing.said
        pairs = f"{records:,} products and {records:,} customers"
        report.at_most(f"sync of {pairs}, nothing moved: to WooCommerce", nothing.to_shop, MOST_TO_SHOP, "requests")
        report.at_most("the same: to Odoo", nothing.to_odoo, MOST_TO_ODOO, "requests")
        report.at_most("the same: CPU of this process", nothing.cpu, MOST_SECONDS, "s")
        report.plain("the same: from launch to end, against stand-ins", nothing.seconds, "s")
        report.plain("the first sync, which links everything: from launch to end", first.seconds, "s")
        _changed(report, bench, min(CHANGED, records))
    report.notes.append(
        "Commerce: the Dagster job in one process; PostgreSQL, the shop and Odoo have others. The shop answers a list "
        f"after {REQUEST_SECONDS} s, and a batch after {ITEM_SECONDS} s more for each product, as the real one did. "
        "The batches beside it were sent by the client alone, one after the other."
    )
    return report


def _changed(report: Report, bench: Bench, number: int) -> None:
    with httpx.Client() as staff:
        _post(staff, bench.shop, "shop/latency", seconds=REQUEST_SECONDS, per_item=ITEM_SECONDS)
    size = bench.connection.batch
    products, bare = asyncio.run(_bare(bench.shop.url, number, size))
    # What was written is what was there, and the next sync finds so.
    assert _writes(bench.synchronized(EntityType.PRODUCTS)) == 0
    with httpx.Client() as staff:
        for product in products:
            values = {"list_price": float((product.regular_price or Decimal(0)) + Decimal("0.25"))}
            _post(staff, bench.odoo, "odoo/write", model="product.template", id=product.id, values=values)
    done = bench.synchronized(EntityType.PRODUCTS)
    said = done.said[EntityType.PRODUCTS]["applied"]
    assert said["woocommerce_updated"] == number, said
    seconds = said["woocommerce_seconds"]
    name = f"{number:,} changed products written to WooCommerce, against batches of {size} alone"
    report.at_least(name, 100 * bare / seconds, 100 * LEAST_OF_BATCHES, "%")
    report.plain("the same: products a second", number / seconds, "products/s", f"{number / bare:.1f} products/s alone")
    report.plain("the same: requests of the whole run to WooCommerce", done.to_shop, "requests")


async def _bare(url: str, number: int, size: int) -> tuple[list[Product], float]:
    """Write the prices that some products have by batches, one after the other. Returns them with the seconds."""
    keys = Keys(DEMO_KEY.consumer_key, DEMO_KEY.consumer_secret)
    async with woocommerce_transport(url, keys) as transport:
        collection = WooCommerceClient(transport).products
        found: list[Product] = []
        async for page in collection.pages(Sweep()):
            found += page.rows
            if len(found) >= number:
                break
        products = found[:number]
        began = time.perf_counter()
        for first in range(0, number, size):
            group = products[first : first + size]
            written = await collection.batch(update=[(one.id, {"regular_price": one.regular_price}) for one in group])
            assert not any(isinstance(one, PeerError) for one in written.updated)
        return products, time.perf_counter() - began


def _post(staff: httpx.Client, peer: ServedPeer, action: str, **arguments: Any) -> None:
    staff.post(f"{peer.url}/_sandbox/{action}", json=arguments).raise_for_status()


def _said(result: ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        entity = str(event.partition).rpartition(".")[2]
        assert event.asset_key is not None
        numbers = {name: value.value for name, value in event.materialization.metadata.items()}
        said.setdefault(entity, {})[event.asset_key.path[-1]] = numbers
    return said


def _writes(measured: Measured) -> int:
    written = ("created", "updated", "retired")
    applied = [one.get("applied", {}) for one in measured.said.values()]
    return sum(one.get(f"{peer}_{what}", 0) for one in applied for peer in PEERS for what in written)


@contextmanager
def _bench(records: int) -> Iterator[Bench]:
    with (
        fresh_server() as server,
        fresh_database(server) as engine,
        peers(records) as (shop, odoo),
        DagsterInstance.ephemeral() as instance,
    ):
        yield Bench(shop, odoo, engine, instance)


if __name__ == "__main__":
    run(measure, records=RECORDS)
