"""Both systems went on while we were down: one backfill run over all entities catches up, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import (
    ServedShop,
    checks,
    materialized,
    reason,
    served,
    told,
)

EMAIL = "customer0@example.test"


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """Two customers and two products with stock, in agreement."""
    odoo = OdooStandIn()
    for code in ("SHIP", "FEE", "MISC"):
        odoo.world.create("product.product", name=code, default_code=code, type="service")
    stand_in = WooCommerceStandIn.bulk(products=2, customers=2)
    with served(engine, stand_in, odoo, owners={"inventory": {"quantity": "woocommerce"}}) as one:
        result = one.synchronized()
        assert result.success, reason(result)
        yield one


def row(shop: ServedShop, model: str, **values: object) -> dict[str, Any]:
    """Return the only row of Odoo with some values."""
    rows = [dict(one) for one in shop.odoo.world.rows(model)]
    [found] = [one for one in rows if all(one[name] == value for name, value in values.items())]
    return found


@pytest.mark.long
def test_given_an_outage_then_one_run_over_all_entities_converges_and_every_check_passes(shop: ServedShop) -> None:
    world, odoo = shop.shop.world, shop.odoo.world
    one, other = world.products.values()
    known = next(customer for customer in world.customers.values() if customer.email == EMAIL)
    # In the shop: a new customer orders, somebody moves, stock is counted.
    new = world.add_customer(email="new@example.test", first_name="Nina", last_name="New")
    world.edit_customer(known.id, first_name="Moved", last_name="Away")
    order = world.add_order(
        customer_id=new.id,
        status="processing",
        billing={"email": "new@example.test"},
        line_items=[{"product_id": one.id, "quantity": 1}],
    )
    world.edit_product(other.id, stock_quantity=17)
    # In Odoo: a price and a new customer.
    variant = row(shop, "product.product", default_code="SKU-1")
    odoo.write("product.product", variant["id"], list_price=7.5)
    odoo.create("res.partner", name="Olaf Odoo", email="olaf@example.test", customer_rank=1)

    result = shop.synchronized()

    assert result.success, reason(result)
    assert list(materialized(result)) == ["customers", "products", "inventory", "orders", "payments"]
    assert row(shop, "res.partner", email_normalized=EMAIL)["name"] == "Moved Away"
    assert row(shop, "sale.order", client_order_ref=f"WC-1-{order.id}")["state"] == "sale"
    assert world.products[other.id].values["regular_price"] == "7.50"
    assert "olaf@example.test" in {customer.email for customer in world.customers.values()}
    failed = {name: told(result, name) for name, passed in checks(result).items() if not passed}
    assert failed == {}
    writes = shop.writes
    again = shop.synchronized()
    assert (again.success, shop.writes - writes) == (True, 0)
    assert {name: told(again, name) for name, passed in checks(again).items() if not passed} == {}


@pytest.mark.long
def test_given_stock_that_odoo_cannot_take_then_the_checks_name_the_product_and_the_reason(
    shop: ServedShop,
) -> None:
    product = next(iter(shop.shop.world.products.values()))
    # Odoo takes no count below nothing, so the two stay apart.
    shop.shop.world.edit_product(product.id, stock_quantity=-3)

    result = shop.synchronized()

    assert checks(result)["applied.stock_agrees"] is False
    assert "1 of 2 products have different stock" in told(result, "applied.stock_agrees")
    assert "| SKU-0 | -3 | " in told(result, "applied.stock_agrees")
    assert "| odoo | inventory | SKU-0 | out_of_sync | " in told(result, "applied.converged")
