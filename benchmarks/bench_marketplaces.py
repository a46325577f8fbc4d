"""What pulling orders costs: the pages that a limit allows, and how fast what was read is stored.

``python -m benchmarks.bench_marketplaces`` pulls a shop that answers after 5 ms from a process of its own, then stores
pages that are in memory already, on an embedded PostgreSQL, and prints its report as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Engine, text

from benchmarks.measure import Report, peak_memory, run
from benchmarks.orders_peer import LATENCY, LINES, OrdersPeer, orders_peer
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.core.marketplace_port import Page, Watermark
from sync_pipelines.core.marketplaces import Order, Stream
from sync_pipelines.pipelines.marketplaces.connection import NAME
from sync_pipelines.pipelines.marketplaces.cycle import Request, register, run_cycle
from sync_pipelines.pipelines.marketplaces.pulling import pull_stream
from sync_pipelines.pipelines.marketplaces.woocommerce import order_of
from sync_pipelines.store import leases
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.systems.woocommerce.resources import ORDERS
from sync_pipelines_tests.pipelines.marketplaces.orders import Account
from sync_pipelines_tests.pipelines.marketplaces.shops import connected

RECORDS = 100_000
PAGE = 100
PAGES_A_SECOND, BURST = 15.0, 10
LEAST_OF_LIMIT, LEAST_ROWS, MOST_MEMORY = 95.0, 50_000, 300.0
IN_MEMORY, ROUNDS = 10_000, 3
log = logging.getLogger("benchmark")


def measure(records: int = RECORDS) -> Report:
    """Pull a shop with so many orders, then store what is in memory."""
    report = Report()
    with fresh_server() as server:
        with fresh_database(server, "pulled") as engine:
            _pulled(report, engine, records)
        with fresh_database(server, "stored") as engine:
            _stored(report, engine, min(records, IN_MEMORY))
    report.notes.append(
        f"Marketplaces: a shop of WooCommerce, {PAGE} orders of {LINES} lines a page, each page answered after "
        f"{LATENCY * 1000:.0f} ms, and a limit of {PAGES_A_SECOND:g} pages a second set for it. The pages with all "
        "ids, by which deletions show, count like the others. Rows are orders and items; storing them counts from "
        "pages that were read to the end of the last commit, with making the rows and the watermark."
    )
    return report


def _pulled(report: Report, engine: Engine, records: int) -> None:
    with orders_peer(records) as peer:
        shop = connected("bench", peer.url)
        limits = shop.access.limits.model_copy(  # type: ignore[attr-defined]  # the access is that of a shop
            update={"requests_per_second": PAGES_A_SECOND, "burst": BURST}
        )
        shop = connected("bench", peer.url, woocommerce=shop.access.model_copy(update={"limits": limits}))
        began, cpu = time.perf_counter(), time.process_time()
        outcome = asyncio.run(run_cycle(engine, [shop], Request("bench", streams=(Stream.ORDERS,)), log))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        requests = peer.requests
    assert outcome.success, outcome.result
    _check(engine, records)
    allowed = BURST + PAGES_A_SECOND * seconds
    name = f"marketplaces: {records:,} orders with {records * LINES:,} items, pages of what the limit allows"
    report.at_least(name, 100 * requests / allowed, LEAST_OF_LIMIT, "%")
    report.plain("the same: pages", requests / seconds, "pages/s", f"limit {PAGES_A_SECOND:g}/s, burst {BURST}")
    report.plain("the same: in all", seconds, "s")
    report.plain("the same: processor time of this process", cpu, "s")
    report.at_most("the same: memory of this process", peak_memory(), MOST_MEMORY, "MB")


def _stored(report: Report, engine: Engine, records: int) -> None:
    pages = _pages(records)
    names = [f"bench-{number}" for number in range(ROUNDS)]
    ids = register(engine, [connected(name, "http://127.0.0.1:9") for name in names])
    cpu = time.process_time()
    seconds = [_store(engine, name, ids[name], pages) for name in names]
    cpu = time.process_time() - cpu
    rows = records * (1 + LINES)
    _check(engine, records * ROUNDS)
    report.at_least(f"marketplaces: rows stored, the best of {ROUNDS}", rows / min(seconds), LEAST_ROWS, "rows/s")
    report.plain("the same: rows a second of this process's processor time", rows * ROUNDS / cpu, "rows/s")


def _pages(records: int) -> Sequence[Page[Order]]:
    told = json.loads(json.dumps(OrdersPeer(records).orders(0, records)), parse_float=Decimal)
    read = [(ORDERS.parse(raw), raw) for raw in told]
    orders = [order_of(order, raw) for order, raw in read]
    watermark = Watermark({"since": datetime.now(UTC).isoformat()}, None)
    return [Page(tuple(orders[first : first + PAGE]), watermark) for first in range(0, records, PAGE)]


def _store(engine: Engine, name: str, connection_id: int, pages: Sequence[Page[Order]]) -> float:
    with engine.begin() as connection:
        lease = leases.take(connection, ensure_scope(connection, NAME, name).lease, "bench", 600)
    writer = FencedWriter(engine, lease)
    try:
        began = time.perf_counter()
        asyncio.run(pull_stream(writer, Account(pages), connection_id, Stream.ORDERS, log))
        return time.perf_counter() - began
    finally:
        writer.close()


def _check(engine: Engine, orders: int) -> None:
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM sync.marketplace_order WHERE deleted_at IS NULL), "
                "(SELECT count(*) FROM sync.marketplace_order_item), (SELECT count(*) FROM sync.marketplace_item_error)"
            )
        )
        assert tuple(found.one()) == (orders, orders * LINES, 0)


if __name__ == "__main__":
    run(measure, records=RECORDS)
