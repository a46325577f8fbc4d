"""Orders and products made up for tests, and an account that gives the pages it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.marketplace_port import Page, Watermark
from sync_pipelines.core.marketplaces import Order, OrderItem, OrderStatus, Product, ProductStatus, Stream
from sync_pipelines.pipelines.marketplaces.connection import NAME
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.pipelines.marketplaces.pulling import StreamOutcome, pull_stream
from sync_pipelines.store import leases
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.pipelines.marketplaces.shops import LOG, connected

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def item(key: str, total: str, **fields: Any) -> OrderItem:
    """Return a line."""
    given: dict[str, Any] = {
        "sku": f"SKU-{key}",
        "product_key": f"P-{key}",
        "quantity": Decimal(1),
        "status": OrderStatus.NEW,
        "currency": "ZAR",
        "unit_price": Decimal(total),
    }
    return OrderItem(item_key=key, line_total=Decimal(total), **{**given, **fields})


def order(key: str, *items: OrderItem, minutes: int = 0, **fields: Any) -> Order:
    """Return an order that was last changed some minutes after noon."""
    lines = items or (item("1", "10.00"),)
    total = sum((line.line_total for line in lines if line.line_total is not None), Decimal("0.00"))
    given: dict[str, Any] = {
        "display_number": key,
        "status": OrderStatus.NEW,
        "raw_status": ("New",),
        "currency": "ZAR",
        "total": total,
        "canceled_total": Decimal("0.00"),
        "refunded_total": Decimal("0.00"),
        "ordered_at": NOON,
        "updated_at": NOON + timedelta(minutes=minutes),
        "raw": {"id": key},
    }
    return Order(order_key=key, items=lines, **{**given, **fields})


def product(key: str, variant: str = "", **fields: Any) -> Product:
    """Return a product or a variant."""
    given: dict[str, Any] = {
        "sku": f"SKU-{key}",
        "title": f"Product {key}",
        "status": ProductStatus.ACTIVE,
        "raw_status": ("buyable",),
        "currency": "ZAR",
        "price": Decimal("99.00"),
        "updated_at": NOON,
        "raw": {"id": key},
    }
    return Product(product_key=key, variant_key=variant, **{**given, **fields})


def page(*records: Any, at: int = 0, **fields: Any) -> Page[Any]:
    """Return a page whose watermark stands at a number."""
    return Page(tuple(records), Watermark({"at": at}, NOON + timedelta(minutes=at)), **fields)


@dataclass
class Account:
    """An account of a marketplace: gives pages of orders, then ends or fails.

    Attributes:
        asked: the watermarks that it was asked with.
    """

    pages: Sequence[Page[Any]]
    failure: PeerError | None = None
    asked: list[Watermark | None] = field(default_factory=list)

    async def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        self.asked.append(watermark)
        for one in self.pages:
            yield one
        if self.failure is not None:
            raise self.failure

    async def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        yield page()

    async def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        for one in self.pages:
            yield one

    async def check(self) -> list[str]:
        return []


def pulled_from(engine: Engine, account: Account) -> StreamOutcome:
    """Pull the orders of an account under the name ``scripted``."""
    connection = connected("scripted", "http://127.0.0.1:9")
    outcome = asyncio.run(run_cycle(engine, [connection], Request("register", streams=()), LOG))
    assert outcome.success
    with engine.begin() as transaction:
        number = transaction.exec_driver_sql("SELECT id FROM sync.marketplace_connection").scalar_one()
        lease = leases.take(transaction, ensure_scope(transaction, NAME, "scripted").lease, "test", 600)
    writer = FencedWriter(engine, lease)
    try:
        return asyncio.run(pull_stream(writer, account, number, Stream.ORDERS, LOG))
    finally:
        writer.close()
        with engine.begin() as transaction:
            leases.release(transaction, lease)
