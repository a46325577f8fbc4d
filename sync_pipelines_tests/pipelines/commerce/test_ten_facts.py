"""Ten facts of the two systems that lose or damage data: each lost the naive way, and kept by the pipeline.

The naive way asks the same served systems, as a script would that knows nothing of the fact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.two_way import Side
from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ShopWorld, WooCommerceStandIn
from sync_pipelines.systems.woocommerce import Keys, woocommerce_transport
from sync_pipelines.systems.woocommerce.session import WooCommerceSession
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, served

CUSTOMERS, PRODUCTS, ORDERS = EntityType.CUSTOMERS, EntityType.PRODUCTS, EntityType.ORDERS
SERVICES = ("SHIP", "FEE", "MISC")


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """A shop one hour east of Greenwich, and an Odoo with no more than the services that orders need."""
    odoo = OdooStandIn()
    for code in SERVICES:
        odoo.world.create("product.product", name=code, default_code=code, type="service", taxes_id=[])
    with served(engine, WooCommerceStandIn(ShopWorld(zone="Europe/Berlin")), odoo) as one:
        yield one


def asked(shop: ServedShop, model: str, method: str, **arguments: Any) -> Any:
    """Call Odoo as a script would."""
    answer = httpx.post(
        f"{shop.odoo_url}/json/2/{model}/{method}", json=arguments, headers={"Authorization": f"bearer {SYNC_KEY}"}
    )
    answer.raise_for_status()
    return answer.json()


def sent(shop: ServedShop, method: str, path: str, body: Any = None, **params: str) -> Any:
    """Send the shop a signed request as a script would, and return its JSON."""

    async def exchange() -> Any:
        keys = Keys(DEMO_KEY.consumer_key, DEMO_KEY.consumer_secret)
        async with woocommerce_transport(shop.shop_url, keys) as transport:
            session = WooCommerceSession(transport)
            if method == "GET":
                return (await session.list(path, list(params.items()))).rows
            return await session.write(method, path, body)

    return asyncio.run(exchange())


def variants(shop: ServedShop, code: str) -> list[int]:
    """Return the variants of Odoo with a code."""
    return shop.odoo.world.find("product.product", ["default_code", "=", code])


def price(shop: ServedShop, product: int) -> str | None:
    """Return the price that the shop keeps."""
    found: str | None = shop.shop.world.products[product].values.get("regular_price")
    return found


def test_1_rows_that_odoo_commits_late_lie_behind_a_cursor_and_are_found_by_the_overlap(shop: ServedShop) -> None:
    ada, bob = (shop.shop.world.add_customer(email=f"{name}@x.example.test", first_name=name) for name in "ab")
    shop.carried_out(CUSTOMERS)
    odoo = shop.odoo.world
    partners = [odoo.find("res.partner", ["email", "=", customer.email])[0] for customer in (ada, bob)]
    late = odoo.begin_slow_write()
    late.write("res.partner", partners[0], city="Utrecht")
    odoo.clock.advance(30)
    odoo.write("res.partner", partners[1], city="Zeist")
    cursor = asked(shop, "res.partner", "read", ids=partners[1:], fields=["write_date"])[0]["write_date"]
    shop.carried_out(CUSTOMERS)
    late.commit()

    assert asked(shop, "res.partner", "search", domain=[["write_date", ">", cursor]]) == []
    shop.carried_out(CUSTOMERS)

    assert [shop.shop.world.customers[one.id].billing["city"] for one in (ada, bob)] == ["Utrecht", "Zeist"]


def test_2_our_own_writes_come_back_as_changes_and_are_not_written_again(shop: ServedShop) -> None:
    mug = shop.shop.world.add_product(name="Mug", sku="MUG", regular_price="9.90")
    shop.carried_out(PRODUCTS)
    shop.shop.world.clock.advance(60)
    shop.odoo.world.clock.advance(60)
    before = asked(shop, "product.product", "read", ids=variants(shop, "MUG"), fields=["write_date"])[0]["write_date"]
    shop.shop.world.edit_product(mug.id, regular_price="12.50")
    shop.carried_out(PRODUCTS)

    # By its time the product changed in Odoo, after the shop's: a script would now write it back, and so on for ever.
    assert asked(shop, "product.product", "search", domain=[["write_date", ">", before]]) == variants(shop, "MUG")
    writes = shop.writes
    for _ in range(2):
        shop.carried_out(PRODUCTS)

    assert shop.writes == writes
    assert price(shop, mug.id) == "12.50"


def test_3_customers_have_no_filter_by_time_and_the_changed_one_is_found_among_all(shop: ServedShop) -> None:
    people = [shop.shop.world.add_customer(email=f"c{number}@x.example.test", first_name="C") for number in range(5)]
    shop.carried_out(CUSTOMERS)
    shop.shop.world.edit_customer(people[3].id, first_name="Chloe")
    future = datetime.now(UTC) + timedelta(days=1)

    found = sent(shop, "GET", "customers", modified_after=f"{future:%Y-%m-%dT%H:%M:%S}", dates_are_gmt="true")
    assert {row["id"] for row in found} == {one.id for one in people}
    with pytest.raises(PeerError, match="orderby"):
        sent(shop, "GET", "customers", orderby="modified")
    [done] = shop.carried_out(CUSTOMERS)

    assert (done.applied[Side.RIGHT].actions["update"], done.applied[Side.LEFT].actions.total()) == (1, 0)
    names = {row["email"]: row["name"] for row in shop.odoo.world.rows("res.partner")}
    assert names["c3@x.example.test"] == "Chloe"


def test_4_a_zone_with_the_gmt_flag_loses_an_hour_and_naive_utc_does_not(shop: ServedShop) -> None:
    mug = shop.shop.world.add_product(name="Mug", sku="MUG", regular_price="9.90")
    shop.carried_out(PRODUCTS)
    since = datetime.now(UTC) - timedelta(minutes=30)
    shop.shop.world.edit_product(mug.id, regular_price="12.50")

    assert sent(shop, "GET", "products", modified_after=f"{since:%Y-%m-%dT%H:%M:%SZ}", dates_are_gmt="true") == []
    shop.carried_out(PRODUCTS)

    assert shop.odoo.world.read("product.product", variants(shop, "MUG")[0], "list_price")["list_price"] == 12.5


def test_5_a_code_that_odoo_has_twice_is_a_conflict_and_no_guess(shop: ServedShop) -> None:
    shop.shop.world.add_product(name="Mug", sku="MUG", regular_price="9.90")
    both = [shop.odoo.world.create("product.product", name=name, default_code="MUG") for name in ("Cup", "Mug")]
    before = [shop.odoo.world.read("product.product", one, "name", "list_price") for one in both]

    assert asked(shop, "product.product", "search", domain=[["default_code", "=", "MUG"]], limit=1) == both[:1]
    shop.carried_out(PRODUCTS)

    [conflict] = shop.conflicts()
    assert (conflict.kind, conflict.item) == (Kind.DUPLICATE_KEY, "MUG")
    assert [shop.odoo.world.read("product.product", one, "name", "list_price") for one in both] == before
    assert len(variants(shop, "MUG")) == 2


def test_6_the_shop_cleans_prices_instead_of_checking_them_and_is_only_sent_plain_ones(shop: ServedShop) -> None:
    made = {code: shop.shop.world.add_product(name=code, sku=code, regular_price="9.90").id for code in ("A", "B", "C")}
    naive = shop.shop.world.add_product(name="Naive", regular_price="9.90").id
    shop.carried_out(PRODUCTS)

    sent(shop, "PUT", f"products/{naive}", {"regular_price": str(Decimal("1E+3"))})
    assert price(shop, naive) == "13"
    for code, amount in zip(made, (1000.0, 9.8999999, 12.344999), strict=True):
        shop.odoo.world.write("product.product", variants(shop, code)[0], list_price=amount)
    shop.carried_out(PRODUCTS)

    assert [price(shop, product) for product in made.values()] == ["1000.00", "9.90", "12.34"]
    assert [one.path.rpartition("/")[2] for one in shop.shop.world.writes[-1:]] == ["batch"]


@pytest.mark.long
def test_7_odoo_prices_a_line_anew_with_its_quantity_and_is_sent_both(shop: ServedShop) -> None:
    world = shop.shop.world
    buyer = world.add_customer(email="ada@x.example.test", first_name="Ada")
    mug = world.add_product(name="Mug", sku="MUG", regular_price="10.50")
    line = {"product_id": mug.id, "quantity": 1, "subtotal": "9.90", "total": "9.90"}
    order = world.add_order(customer_id=buyer.id, status="pending", line_items=[line])
    shop.carried_out(CUSTOMERS, PRODUCTS, ORDERS)
    [made] = shop.odoo.world.find("sale.order", ["client_order_ref", "=", f"WC-1-{order.id}"])
    [bought] = shop.odoo.world.find("sale.order.line", ["order_id", "=", made])
    assert shop.odoo.world.read("sale.order", made, "amount_untaxed")["amount_untaxed"] == 9.9

    [copy] = asked(
        shop,
        "sale.order",
        "create",
        vals_list=[
            {
                "partner_id": 1,
                "order_line": [[0, 0, {"product_id": variants(shop, "MUG")[0], "price_unit": 9.9, "tax_ids": []}]],
            }
        ],
    )
    [naive] = shop.odoo.world.find("sale.order.line", ["order_id", "=", copy])
    asked(shop, "sale.order.line", "write", ids=[naive], vals={"product_uom_qty": 3})
    assert shop.odoo.world.read("sale.order.line", naive, "price_subtotal")["price_subtotal"] == 31.5
    item = order.lines["line_items"][0]["id"]
    world.edit_order(order.id, line_items=[{"id": item, "quantity": 3, "subtotal": "29.70", "total": "29.70"}])
    shop.carried_out(ORDERS)

    assert shop.odoo.world.read("sale.order.line", bought, "price_subtotal")["price_subtotal"] == 29.7


@pytest.mark.long
def test_8_a_template_with_variants_swallows_a_code_and_the_variant_is_written(shop: ServedShop) -> None:
    world, odoo = shop.shop.world, shop.odoo.world
    colour = {"name": "Colour", "options": ["Red", "Blue"], "variation": True, "visible": True}
    parent = world.add_product(name="Mug", type="variable", attributes=[colour])
    red, _ = (
        world.add_variation(
            parent.id, sku=f"MUG-{option}", regular_price="9.90", attributes=[{"name": "Colour", "option": option}]
        )
        for option in ("Red", "Blue")
    )
    kind = odoo.create("product.attribute", name="Colour")
    values = [odoo.create("product.attribute.value", name=one, attribute_id=kind) for one in ("Red", "Blue")]
    lines = [[0, 0, {"attribute_id": kind, "value_ids": [[6, 0, values]]}]]
    template = odoo.create("product.template", name="Mug", list_price=9.9, attribute_line_ids=lines)
    both = odoo.find("product.product", ["product_tmpl_id", "=", template])
    assert asked(shop, "product.template", "write", ids=[template], vals={"default_code": "MUG-Red"}) is True
    assert [
        one["default_code"] for one in asked(shop, "product.product", "read", ids=both, fields=["default_code"])
    ] == [
        False,
        False,
    ]
    for variant, code in zip(both, ("MUG-Red", "MUG-Blue"), strict=True):
        odoo.write("product.product", variant, default_code=code)
    shop.carried_out(PRODUCTS)
    world.edit_product(red.id, sku="MUG-Crimson")
    shop.carried_out(PRODUCTS)

    assert [odoo.read("product.product", one, "default_code")["default_code"] for one in both] == [
        "MUG-Crimson",
        "MUG-Blue",
    ]
    assert shop.conflicts() == []


def test_9_rows_that_move_while_pages_are_read_are_lost_by_offset_and_found_by_id(shop: ServedShop) -> None:
    world = shop.shop.world
    numbers = []
    for index in range(103):
        world.clock.advance(1)
        numbers.append(world.add_product(name=f"P{index}", sku=f"P-{index}", regular_price="1.00").id)

    def edit_the_first() -> None:
        world.clock.advance(1)
        world.edit_product(numbers[0], regular_price="2.00")

    world.after("/products$", edit_the_first)
    order = {"orderby": "modified", "order": "asc", "per_page": "100"}
    read = [row["id"] for page in "12" for row in sent(shop, "GET", "products", page=page, **order)]
    assert set(numbers) - set(read) == {numbers[100]}
    # Worse than a row that moves: one that leaves the page just read.
    world.after("/products$", lambda: world.delete_product(numbers[0]))
    [done] = shop.carried_out(PRODUCTS, applies=False)

    snapshot = done.read[Side.LEFT].snapshot
    assert done.plans[Side.RIGHT].counts["create"] == snapshot.records == 103
    assert snapshot.sealed


def test_10_a_create_without_an_answer_is_looked_up_before_it_is_sent_again(shop: ServedShop) -> None:
    world, odoo, fault = shop.shop.world, shop.odoo, FaultKind.DROP_AFTER_COMMIT
    buyer = world.add_customer(email="ada@x.example.test", first_name="Ada")
    mug = world.add_product(name="Mug", sku="MUG", regular_price="10.50")
    order = world.add_order(customer_id=buyer.id, status="processing", line_items=[{"product_id": mug.id}])
    shop.carried_out(CUSTOMERS, PRODUCTS)

    naive = {"partner_id": 1, "client_order_ref": "NAIVE"}
    odoo.faults.add(fault, path="/sale.order/create$", times=1)
    for _ in range(2):
        with suppress(httpx.HTTPError):
            asked(shop, "sale.order", "create", vals_list=[naive])
    assert len(odoo.world.find("sale.order", ["client_order_ref", "=", "NAIVE"])) == 2
    odoo.faults.add(fault, path="/sale.order/create$", times=1)
    for _ in range(2):
        shop.carried_out(ORDERS)

    [made] = odoo.world.find("sale.order", ["client_order_ref", "=", f"WC-1-{order.id}"])
    assert odoo.world.read("sale.order", made, "state")["state"] == "sale"
