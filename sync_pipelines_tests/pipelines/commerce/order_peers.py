"""The shop and the Odoo of a test, served, with what is known of their links."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Source, Target
from sync_pipelines.pipelines.commerce.inventory.mapping import StockSettings
from sync_pipelines.pipelines.commerce.inventory.odoo_side import OdooInventory
from sync_pipelines.pipelines.commerce.inventory.woocommerce_side import WooInventory
from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.pipelines.commerce.orders.odoo_side import OdooOrders
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.woocommerce_side import WooOrders
from sync_pipelines.pipelines.commerce.payments.sides import OdooPayments, WooPayments
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn, OdooWorld
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient, OdooSession
from sync_pipelines.systems.woocommerce import Address, Keys, Order, OrderLine, WooCommerceClient, woocommerce_transport

STOCK = 5
"""Location WH/Stock of the stand-in."""
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Peers:
    """Both sides of a shop's orders, stock and payments."""

    woo: WooCommerceClient
    odoo: OdooClient
    linked: Linked
    settings: OrderSettings

    @property
    def woo_orders(self) -> WooOrders:
        return WooOrders(self.woo, self.settings, self.linked)

    @property
    def odoo_orders(self) -> OdooOrders:
        return OdooOrders(self.odoo, self.settings, self.linked)

    @property
    def woo_payments(self) -> WooPayments:
        return WooPayments(self.woo, self.settings)

    @property
    def odoo_payments(self) -> OdooPayments:
        return OdooPayments(self.odoo, self.settings)

    @property
    def woo_stock(self) -> WooInventory:
        return WooInventory(self.woo, "demo")

    def odoo_stock(self, settings: StockSettings | None = None) -> OdooInventory:
        return OdooInventory(self.odoo, settings or StockSettings(STOCK), self.linked)

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of them, as the engine takes them."""
        orders, payments = (self.woo_orders, self.odoo_orders), (self.woo_payments, self.odoo_payments)
        return (*orders, *payments, self.woo_stock, self.odoo_stock())


@dataclass(frozen=True)
class Demo:
    """The demo's shop and Odoo, before anything was mended."""

    shop: WooCommerceStandIn = field(default_factory=WooCommerceStandIn.demo)
    erp: OdooStandIn = field(default_factory=OdooStandIn.demo)

    @contextlib.asynccontextmanager
    async def open(self, settings: OrderSettings | None = None, linked: Linked | None = None) -> AsyncIterator[Peers]:
        keys = Keys(DEMO_KEY.consumer_key, DEMO_KEY.consumer_secret)
        with self.shop.running() as shop, self.erp.running() as erp:
            async with woocommerce_transport(shop, keys) as transport, OdooSession(erp, key=SYNC_KEY) as session:
                yield Peers(
                    WooCommerceClient(transport),
                    OdooClient(session),
                    linked or links_of(self.erp.world),
                    settings or OrderSettings("1"),
                )

    def order(self, number: int) -> dict[str, Any]:
        """Return the only order of Odoo for one of the shop, with its lines."""
        [found] = self.erp.world.find("sale.order", ["client_order_ref", "=", f"WC-1-{number}"])
        return self.read(found)

    def read(self, order: int) -> dict[str, Any]:
        names = ("state", "date_order", "amount_total", "partner_id", "client_order_ref", "order_line", "write_date")
        row = self.erp.world.read("sale.order", order, *names)
        told = ("product_id", "name", "product_uom_qty", "price_unit", "discount", "price_subtotal")
        return row | {"lines": [self.erp.world.read("sale.order.line", line, *told) for line in row["order_line"]]}


def links_of(world: OdooWorld) -> Linked:
    """Return the links that adoption finds: by the reference of partners, and by codes that only one variant has."""
    named = ((re.fullmatch(r"WC-1-C(\d+)", row["ref"] or ""), row["id"]) for row in world.rows("res.partner"))
    codes: dict[str, list[int]] = defaultdict(list)
    for row in world.rows("product.product"):
        codes[code_key(row["default_code"] or "")].append(row["id"])
    return Linked(
        partners={int(match[1]): partner for match, partner in named if match},
        variants={code: held[0] for code, held in codes.items() if code and len(held) == 1},
    )


async def everything(side: Source) -> list[Record]:
    """Return all records of a side."""
    return [record async for page in side.sweep(Sweep()) for record in page]


async def looked_up(side: Source, *keys: str) -> list[Record]:
    """Return some records of a side."""
    return [record async for page in side.look(keys, Sweep()) for record in page]


def order(*lines: OrderLine, **values: Any) -> Order:
    """Return an order of the shop: customer 3, processing, of noon."""
    usual: dict[str, Any] = {"id": 7, "status": "processing", "currency": "EUR", "customer_id": 3, "created": NOON}
    usual |= {"billing": Address(email="Ada@Shop.Example.Test"), "lines": lines or (item(),)}
    return Order(**{**usual, **values})


def item(sku: str = "MUG", quantity: int = 1, subtotal: str = "10.00", total: str = "", **values: Any) -> OrderLine:
    """Return a line of a shop's order."""
    amounts = {"subtotal": Decimal(subtotal), "total": Decimal(total or subtotal)}
    return OrderLine(**{"id": 1, "name": "A mug", "sku": sku, "quantity": Decimal(quantity), **amounts, **values})


def totals(lines: Sequence[dict[str, Any]]) -> list[float]:
    """Return what the lines of an order of Odoo come to, smallest first."""
    return sorted(line["price_subtotal"] for line in lines)
