"""A natural key that another record has now, while its former holder lies outside of the window that is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.two_way import Side
from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, served

CUSTOMERS, PRODUCTS, INVENTORY = EntityType.CUSTOMERS, EntityType.PRODUCTS, EntityType.INVENTORY
LONG = 86_400.0
"""Seconds, more than any overlap of windows."""


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """Three customers and three products of yesterday."""
    stand_ins = WooCommerceStandIn.bulk(products=3, customers=3), OdooStandIn()
    with served(engine, *stand_ins, guard={"enabled": False}) as one:
        yield one


def agreed_for_long(shop: ServedShop, *entities: EntityType) -> None:
    """Let both systems agree, and so much time pass that none of the records lies in a window any more."""
    worlds = shop.shop.world, shop.odoo.world
    for world in worlds:
        world.clock.advance(-LONG)
    for product in shop.shop.world.products.values():
        product.modified = None
        shop.shop.world.edit_product(product.id, manage_stock=True, stock_quantity=5)
    shop.carried_out(*entities)
    for world in worlds:
        world.clock.advance(LONG)
    shop.carried_out(*entities)


def variants(shop: ServedShop) -> dict[str, bool]:
    """Return the variants of Odoo that have a code, and whether they are in service."""
    rows = shop.odoo.world.rows("product.product")
    return {row["default_code"]: row["active"] for row in rows if row["default_code"]}


def test_given_a_second_partner_with_an_address_then_nobody_takes_it_for_the_first_one(shop: ServedShop) -> None:
    agreed_for_long(shop, CUSTOMERS)
    odoo = shop.odoo.world
    email = next(one.email for one in shop.shop.world.customers.values() if one.email.startswith("customer"))
    [first] = odoo.find("res.partner", ["email", "=", email])
    odoo.create("res.partner", name="Somebody Else", email=email)

    [done] = shop.carried_out(CUSTOMERS)

    assert done.read[Side.RIGHT].snapshot.removed == 0
    [conflict] = shop.conflicts()
    assert (conflict.kind, conflict.item) == (Kind.DUPLICATE_KEY, email)
    assert odoo.read("res.partner", first, "active")["active"]


def test_given_a_sku_that_moved_then_its_former_holder_is_read_and_not_taken_out_of_service(shop: ServedShop) -> None:
    agreed_for_long(shop, PRODUCTS)
    world = shop.shop.world
    one, other, _ = world.products.values()
    was, taken = str(one.values["sku"]), str(other.values["sku"])
    before = other.modified
    world.edit_product(other.id, sku="MOVED-1")
    # As an import does that writes to the database.
    other.modified = before
    world.edit_product(one.id, sku=taken)

    [done] = shop.carried_out(PRODUCTS)

    snapshot = done.read[Side.LEFT].snapshot
    assert (snapshot.selective, snapshot.removed) == (True, 0)
    found = variants(shop)
    assert {"MOVED-1": found.get("MOVED-1"), taken: found.get(taken)} == {"MOVED-1": True, taken: True}
    assert was not in found


def test_given_a_sku_that_moved_then_the_stock_of_its_former_holder_is_not_gone(shop: ServedShop) -> None:
    agreed_for_long(shop, PRODUCTS, INVENTORY)
    world = shop.shop.world
    one, other, _ = world.products.values()
    taken, before = str(other.values["sku"]), other.modified
    world.edit_product(other.id, sku="MOVED-1")
    other.modified = before
    world.edit_product(one.id, sku=taken)

    [done] = shop.carried_out(INVENTORY)

    snapshot = done.read[Side.LEFT].snapshot
    assert (snapshot.selective, snapshot.removed) == (True, 0)


def test_given_records_that_are_found_or_gone_then_only_those_that_are_gone_take_a_request_of_their_own(
    shop: ServedShop,
) -> None:
    agreed_for_long(shop, PRODUCTS, INVENTORY)
    world = shop.shop.world
    one, other, _ = world.products.values()
    world.edit_product(one.id, stock_quantity=6)
    first = len(world.requests)
    shop.carried_out(INVENTORY)
    usual = _single_reads(shop, first)

    sku = str(other.values["sku"])
    world.edit_product(one.id, sku="TAKEN-1")
    world.delete_product(other.id)
    world.edit_product(one.id, sku=sku)
    first = len(world.requests)
    [done] = shop.carried_out(INVENTORY)

    assert (usual, _single_reads(shop, first)) == (set(), {other.id})
    assert done.read[Side.LEFT].snapshot.removed == 1


def _single_reads(shop: ServedShop, first: int) -> set[int]:
    """Return the products that were asked for one by one, from a request on."""
    paths = [one.path.rpartition("/products/")[2] for one in shop.shop.world.requests[first:] if one.method == "GET"]
    return {int(path) for path in paths if path.isdecimal()}
