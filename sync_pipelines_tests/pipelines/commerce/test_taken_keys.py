"""Keys that only the other system can tell are taken: the record is given up, and told as a double key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.pipelines.commerce.settling import settle
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, served

PRODUCTS = EntityType.PRODUCTS
GTIN = "4006381333931"


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    with served(engine, WooCommerceStandIn(ShopWorld()), OdooStandIn(), entities=["products"]) as one:
        yield one


def listed(shop: ServedShop) -> dict[str, tuple[Kind, bool]]:
    """Kind of each open conflict, and whether a decision can end it."""
    return {one.item: (one.kind, one.can_be_settled) for one in shop.conflicts()}


def skus(shop: ServedShop) -> set[object]:
    return {one.values.get("sku") for one in shop.shop.world.products.values()}


def test_given_a_sku_that_the_shop_says_is_taken_when_created_then_it_is_a_double_key_until_it_is_tried_again(
    shop: ServedShop,
) -> None:
    shop.odoo.world.create("product.product", name="Mug", default_code="MUG")
    body = {"code": "product_invalid_sku", "message": "Invalid or duplicated SKU.", "data": {"status": 400}}
    shop.shop.faults.add(FaultKind.STATUS, method="POST", path="/products", times=1, status=400, body=json.dumps(body))

    shop.carried_out(PRODUCTS)
    assert listed(shop) == {"MUG": (Kind.DUPLICATE_KEY, True)}
    (before,) = shop.conflicts()
    assert "Invalid or duplicated SKU" in before.data["reason"]
    shop.carried_out(PRODUCTS, full=True)
    assert shop.conflicts() == [before]

    settle(shop.engine, [shop.connection], before.id, Resolution.ACCEPT, "ada")
    shop.carried_out(PRODUCTS)
    assert "MUG" in skus(shop)
    shop.carried_out(PRODUCTS)
    assert shop.conflicts() == []


def test_given_a_barcode_that_odoo_says_is_taken_when_created_then_it_is_a_double_key(shop: ServedShop) -> None:
    world, erp = shop.shop.world, shop.odoo.world
    world.add_product(name="Tin", sku="TIN", global_unique_id=GTIN)
    erp.create("product.product", name="Holder of the barcode", barcode=GTIN)

    shop.carried_out(PRODUCTS)
    assert listed(shop) == {"TIN": (Kind.DUPLICATE_KEY, True)}
    assert "already assigned" in shop.conflicts()[0].data["reason"]
    before = shop.writes
    shop.carried_out(PRODUCTS)
    assert shop.writes == before
