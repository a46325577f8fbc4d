"""Orders and products made up for tests, and an account that gives the pages it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.marketplace_port import Page, Watermark
from sync_pipelines.core.marketplaces import Order, OrderItem, OrderStatus, Product, ProductStatus

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
