"""What a shop's connection decides: who owns a field, and what becomes of what was deleted in the other system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.store import findings
from sync_pipelines_tests.pipelines.commerce.shop_runs import NAME, ServedShop, served

MAILS = ("ada@mail.example.test", "bob@mail.example.test")


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """A product and two customers, in agreement."""
    shop = WooCommerceStandIn(ShopWorld())
    shop.world.add_product(sku="MUG", name="A mug", regular_price="9.90")
    for email in MAILS:
        shop.world.add_customer(email=email, first_name=email[:3].title(), last_name="Bloom")
    with served(engine, shop, OdooStandIn(), entities=["customers", "products"]) as one:
        for _ in range(2):
            assert [progress.error for progress in one.carried_out()] == [None, None]
        yield one


def prices(shop: ServedShop) -> tuple[str, float]:
    """Return the price of the mug in the shop and in Odoo."""
    [mug] = shop.shop.world.products.values()
    odoo = shop.odoo.world
    [variant] = odoo.find("product.product", ["default_code", "=", "MUG"])
    return str(mug.values["regular_price"]), float(odoo.read("product.product", variant, "lst_price")["lst_price"])


def contest(shop: ServedShop) -> None:
    """Let both systems give the mug another price."""
    [mug] = shop.shop.world.products.values()
    [variant] = shop.odoo.world.find("product.product", ["default_code", "=", "MUG"])
    shop.shop.world.edit_product(mug.id, regular_price="11.00")
    shop.odoo.world.write("product.product", variant, list_price=12.5)


def test_given_a_field_that_belongs_to_both_then_two_prices_are_a_conflict(shop: ServedShop) -> None:
    contest(shop)

    shop.carried_out()

    [conflict] = shop.conflicts()
    assert (conflict.item, list(conflict.fields)) == ("MUG", ["price"])
    assert prices(shop) == ("11.00", 12.5)


@pytest.mark.parametrize(
    ("owner", "agreed"), [("odoo", ("12.50", 12.5)), ("woocommerce", ("11.00", 11.0))], ids=["odoo", "woocommerce"]
)
def test_given_a_shop_that_names_another_owner_of_a_field_then_the_value_of_that_one_wins(
    shop: ServedShop, owner: str, agreed: tuple[str, float]
) -> None:
    shop.changes["owners"] = {"products": {"price": owner}}
    contest(shop)

    shop.carried_out()

    assert prices(shop) == agreed
    assert shop.conflicts() == []
    writes = shop.writes
    shop.carried_out()
    assert shop.writes == writes


@pytest.mark.parametrize("system", ["woocommerce", "odoo"])
def test_given_an_entity_whose_deletions_are_only_reported_then_nothing_is_taken_out_of_service(
    shop: ServedShop, system: str
) -> None:
    shop.changes["deletions"] = {"customers": "report"}
    world, odoo = shop.shop.world, shop.odoo.world
    [ada] = [one.id for one in world.customers.values() if one.email == MAILS[0]]
    [partner] = odoo.find("res.partner", ["email_normalized", "=", MAILS[0]])
    if system == "woocommerce":
        del world.customers[ada]
    else:
        odoo.unlink("res.partner", partner)
    writes = shop.writes

    for _ in range(2):
        shop.carried_out(EntityType.CUSTOMERS, full=True)

    assert shop.writes == writes
    left = ada in world.customers if system == "odoo" else odoo.read("res.partner", partner, "active")["active"]
    assert left is True
    across = "odoo" if system == "woocommerce" else "woocommerce"
    with shop.engine.begin() as store:
        [found] = findings.standing(store, f"commerce_{across}", scope=f"{NAME}.customers")
    assert (found.kind, found.natural_key) == ("orphan", MAILS[0])
    assert "this connection retires nothing" in found.detail
