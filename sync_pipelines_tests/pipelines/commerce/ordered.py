"""A shop with an order, an Odoo database that lacks it, and runs of both ways between them."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.runs import Progress, Request, carry_out
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines_tests.kills.child import Work
from sync_pipelines_tests.pipelines.commerce.shop_runs import ORGANIZATION, connection_of

ENTITIES = (EntityType.CUSTOMERS, EntityType.PRODUCTS, EntityType.ORDERS)
MAIL = "ada@mail.example.test"
MOST_RUNS = 6
"""Until everything has come to rest, once nothing fails any more."""
log = logging.getLogger(__name__)


def run_once(connection: ShopConnection, engine: Engine, run_id: str = "killed") -> None:
    """Synchronize customers, products and orders. Can be pickled, for a process of its own.

    Raises:
        SyncError: as :func:`carry_out`.
    """
    asyncio.run(carry_out(connection, engine, Request(run_id, "", ENTITIES), log, list[Progress]()))


@dataclass(frozen=True)
class OrderedShop:
    """Both systems, served, and the database between them.

    In the shop are a mug, a customer and an order of the mug; in Odoo there is a cup that the shop lacks.

    Attributes:
        order: number of the order.
    """

    shop: WooCommerceStandIn
    odoo: OdooStandIn
    connection: ShopConnection
    engine: Engine
    order: int
    runs: Iterator[int] = field(default_factory=itertools.count)

    @property
    def partner(self) -> int:
        """The customer in Odoo."""
        (found,) = self.odoo.world.find("res.partner", ["email_normalized", "=", MAIL])
        return found

    @property
    def reference(self) -> str:
        """The order's reference in Odoo."""
        return f"WC-1-{self.order}"

    @property
    def work(self) -> Work:
        """One run, to be killed."""
        return partial(run_once, self.connection)

    def run(self) -> SyncError | None:
        """Do one run; return why it ended early, if it did."""
        try:
            run_once(self.connection, self.engine, f"run-{next(self.runs)}")
        except SyncError as error:
            return error
        return None

    def rest(self) -> None:
        """Run until a run writes nothing, with enough time between them for whatever waits to be due."""
        for _ in range(MOST_RUNS):
            self.let_time_pass()
            before = self.writes
            error = self.run()
            assert error is None, error
            if self.writes == before:
                return
        raise AssertionError("it does not come to rest")

    def let_time_pass(self) -> None:
        """Let retries be due, leases of the dead end, breakers close, and what was in flight have arrived."""
        with self.engine.begin() as connection:
            for statement in (
                "UPDATE sync.record_state SET next_retry_at = now() - interval '1 s' WHERE state = 'retrying'",
                "UPDATE sync.effect SET intended_at = intended_at - interval '1 hour', "
                "quiet_until = quiet_until - interval '1 hour'",
                "UPDATE sync.lease SET expires_at = now() - interval '1 s'",
                "DELETE FROM sync.peer",
            ):
                connection.execute(text(statement))

    @property
    def writes(self) -> tuple[int, int]:
        """How much either system wrote so far."""
        return self.shop.world.revision, len(self.odoo.world.writes)

    @property
    def orders(self) -> list[dict[str, Any]]:
        """What Odoo shows of the order, however often it has it."""
        world = self.odoo.world
        told = ("state", "amount_untaxed", "partner_id", "order_line")
        found = world.find("sale.order", ["client_order_ref", "=", self.reference])
        return [world.read("sale.order", number, *told) for number in found]

    def shown(self) -> dict[str, list[Any]]:
        """Return what both systems show, without generated ids and times."""
        world = self.odoo.world
        lines = ("product_id", "product_uom_qty", "price_unit")
        return {
            "shop's products": sorted(
                (str(one.values.get("sku")), str(one.values.get("regular_price")), one.status)
                for one in self.shop.world.products.values()
            ),
            "shop's customers": sorted(one.email for one in self.shop.world.customers.values()),
            "shop's orders": [one.status for one in self.shop.world.orders.values()],
            "products": sorted(
                (row["default_code"] or "", world.read("product.product", row["id"], "lst_price")["lst_price"])
                for row in world.rows("product.product")
            ),
            "partners": sorted(row["email"] or "" for row in world.rows("res.partner")),
            "orders": [
                (
                    one["state"],
                    one["amount_untaxed"],
                    one["partner_id"][1],
                    [
                        {**world.read("sale.order.line", line, *lines), "id": None, "product_id": None}
                        for line in one["order_line"]
                    ],
                )
                for one in self.orders
            ],
        }

    def conflicts(self) -> list[Conflict]:
        """Return the conflicts that stand."""
        with self.engine.begin() as connection:
            return conflicts.standing(connection, ORGANIZATION)

    def unsettled(self) -> int:
        """Return how many writes nobody knows the outcome of."""
        with self.engine.begin() as connection:
            query = "SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')"
            return int(connection.execute(text(query)).scalar_one())


@contextmanager
def ordered_shop(engine: Engine, **changes: Any) -> Iterator[OrderedShop]:
    """Serve a shop with an order, and an Odoo database.

    Arguments:
        changes: fields of the connection that are not the usual ones.
    """
    shop, odoo = WooCommerceStandIn(ShopWorld()), OdooStandIn()
    mug = shop.world.add_product(sku="MUG", name="A mug", regular_price="9.90", weight="1")
    ada = {"first_name": "Ada", "last_name": "Bloom", "email": MAIL}
    customer = shop.world.add_customer(**ada, billing={**ada, "city": "Berlin", "country": "DE"})
    items = [{"product_id": mug.id, "quantity": 2}]
    order = shop.world.add_order(status="processing", customer_id=customer.id, billing=ada, line_items=items)
    for code in ("SHIP", "FEE", "MISC"):
        odoo.world.create("product.product", name=code, default_code=code, type="service")
    odoo.world.create("product.product", name="A cup", default_code="CUP", list_price=4.5, weight=1.0)
    with shop.running() as shop_url, odoo.running() as odoo_url:
        connection = connection_of(shop_url, odoo_url, entities=list(ENTITIES), **{"max_retries": 5, **changes})
        yield OrderedShop(shop, odoo, connection, engine, order.id)
