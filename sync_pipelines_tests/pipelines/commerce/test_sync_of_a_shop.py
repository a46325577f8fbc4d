"""A sync that people start, carried out between a served shop and a served ERP."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.pipelines.commerce.orchestrator import Caller, answer
from sync_pipelines.pipelines.commerce.runs import carry_out_sync
from sync_pipelines.sandbox.odoo import SYNC_LOGIN, OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.ordered import OrderedShop, ordered_shop
from sync_pipelines_tests.pipelines.commerce.shop_runs import NAME, ORGANIZATION, ServedShop, served

WANTED = {
    "systems": ["woocommerce", "odoo"],
    "entityTypes": ["customers", "orders"],
    "syncConfig": {"batchSize": 4, "rateLimit": 50, "interBatchDelayMs": 0},
}


def asked(shop: ServedShop, action: str, **request: Any) -> dict[str, Any]:
    """Ask something about syncs, and return what is answered."""
    caller = Caller(ORGANIZATION, "ada", [NAME])
    return answer(shop.engine, caller, json.dumps({"action": action, **request})).body


def carried_out(shop: ServedShop) -> str:
    """Start a sync, carry it out, and return its id."""
    sync_id = str(asked(shop, "start", **WANTED)["syncId"])
    asyncio.run(carry_out_sync(shop.connection, shop.engine, sync_id, logging.getLogger("a shop")))
    return sync_id


def test_a_sync_brings_a_shop_and_its_erp_together_once_and_says_what_it_left_out(engine: Engine) -> None:
    shop = WooCommerceStandIn.bulk(products=0, customers=10)
    with served(engine, shop, OdooStandIn(), entities=["customers"]) as one:
        first = asked(one, "status", syncId=carried_out(one))
        writes = one.writes
        second = asked(one, "status", syncId=carried_out(one))

        assert first["entities"]["customers"]["odoo"]["processed"] == 10
        assert (first["status"], first["errorMessage"]) == (
            "partial",
            f"orders: {NAME} does not synchronize orders",
        )
        assert second["entities"]["customers"]["odoo"]["total"] == 0
        assert one.writes == writes


def test_a_record_that_a_system_refuses_is_one_failed_item_of_that_system(engine: Engine) -> None:
    odoo = OdooStandIn()
    # Odoo takes such an address, WordPress does not.
    odoo.world.create("res.partner", name="Zoë Bloom", email="zoë@mail.example.test")
    shop = WooCommerceStandIn.bulk(products=0, customers=2)
    with served(engine, shop, odoo, entities=["customers"]) as one:
        sync_id = carried_out(one)
        told = asked(one, "status", syncId=sync_id)

    assert told["queues"]["woocommerce"] == {"total": 1, "processed": 0, "failed": 1, "skipped": 0, "pending": 0}
    assert told["queues"]["odoo"] == {"total": 2, "processed": 2, "failed": 0, "skipped": 0, "pending": 0}
    assert [one["type"] for one in told["conflicts"]["manualReview"]] == ["ValidationError"]


@pytest.mark.parametrize("protocol", [pytest.param("json2", marks=pytest.mark.long), "jsonrpc"])
def test_given_either_protocol_of_odoo_then_customers_products_and_orders_agree_and_later_edits_arrive(
    engine: Engine, protocol: str
) -> None:
    with ordered_shop(engine) as served_:
        one = speaking(served_, protocol)

        one.rest()

        world, shop = one.odoo.world, one.shop.world
        assert world.read("res.partner", one.partner, "city")["city"] == "Berlin"
        [mug] = world.find("product.product", ["default_code", "=", "MUG"])
        assert world.read("product.product", mug, "lst_price")["lst_price"] == 9.9
        [cup] = [product for product in shop.products.values() if product.values["sku"] == "CUP"]
        assert cup.values["regular_price"] == "4.50"
        [order] = one.orders
        assert (order["state"], order["amount_untaxed"], len(order["order_line"])) == ("sale", 19.8, 1)

        world.write("product.product", mug, list_price=12.5)
        shop.edit_product(cup.id, name="A big cup")
        shop.edit_order(one.order, status="cancelled")
        one.rest()

        assert {product.values["sku"]: product.values["regular_price"] for product in shop.products.values()} == {
            "MUG": "12.50",
            "CUP": "4.50",
        }
        [found] = world.find("product.product", ["default_code", "=", "CUP"])
        assert world.read("product.product", found, "name")["name"] == "A big cup"
        assert [order["state"] for order in one.orders] == ["cancel"]
        assert one.conflicts() == []
        assert one.unsettled() == 0
        paths = {request.path.split("/")[1] for request in world.requests if request.method == "POST"}
        assert paths == {"json" if protocol == "json2" else "jsonrpc"}


def speaking(one: OrderedShop, protocol: str) -> OrderedShop:
    """Return the shop with a connection that calls Odoo by a protocol, as one older than 19 needs it."""
    odoo = one.connection.odoo.model_copy(update={"protocol": protocol, "database": "shop", "login": SYNC_LOGIN})
    return replace(one, connection=one.connection.model_copy(update={"odoo": odoo}))
