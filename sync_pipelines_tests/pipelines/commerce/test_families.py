"""Families that one system has and the other lacks: made there with their first variation, and made once."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.records import Record
from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.pipelines.commerce.products.families import Family, Member, extras_of
from sync_pipelines.pipelines.commerce.products.mapping import ProductSettings
from sync_pipelines.pipelines.commerce.products.odoo_side import OdooProducts
from sync_pipelines.pipelines.commerce.products.woocommerce_side import WooCommerceProducts
from sync_pipelines.pipelines.commerce.runs import Request, carry_out
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient
from sync_pipelines.systems.woocommerce import WooCommerceClient
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.points import Point, Reply
from sync_pipelines_tests.kills.watch import About
from sync_pipelines_tests.pipelines.commerce.peers import Peers, everything, serving
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, connection_of, served

PRODUCTS = EntityType.PRODUCTS
SETTINGS = ProductSettings()
COLOURS: Sequence[tuple[str, Mapping[str, str], str]] = (
    ("MUG-3", {"Colour": "Red"}, "9.90"),
    ("MUG-1", {"Colour": "Blue"}, "12.40"),
    ("MUG-2", {"Colour": "Green"}, "9.90"),
)
SHIRTS: Sequence[tuple[str, Mapping[str, str], str]] = (
    ("S-RED", {"Size": "S", "Colour": "Red"}, "30.00"),
    ("S-BLUE", {"Size": "S", "Colour": "Blue"}, "32.00"),
    ("L-RED", {"Size": "L", "Colour": "Red"}, "35.00"),
    ("L-BLUE", {"Size": "L", "Colour": "Blue"}, "37.00"),
)
Told = dict[str, tuple[Any, ...]]


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """A shop and an Odoo without products."""
    changes = {"entities": ["customers", "products"], "max_retries": 3}
    with served(engine, WooCommerceStandIn(ShopWorld()), OdooStandIn(), **changes) as one:
        yield one


@pytest.fixture
def peers() -> Iterator[Peers]:
    with serving(WooCommerceStandIn(ShopWorld()), OdooStandIn()) as one:
        yield one


def in_shop(world: ShopWorld, members: Sequence[tuple[str, Mapping[str, str], str]], **more: Any) -> int:
    """Add a variable product with these variations: SKU, options, price."""
    names = {name: list(dict.fromkeys(one[1][name] for one in members)) for name in members[0][1]}
    attributes = [{"name": name, "options": told, "variation": True, "visible": True} for name, told in names.items()]
    parent = world.add_product(name="Mug", type="variable", attributes=attributes, **more)
    for sku, options, price in members:
        add_variation(world, parent.id, sku, options, price)
    return int(parent.id)


def add_variation(world: ShopWorld, parent: int, sku: str, options: Mapping[str, str], price: str) -> None:
    chosen = [{"name": name, "option": option} for name, option in options.items()]
    world.add_variation(parent, sku=sku, regular_price=price, attributes=chosen)


def in_odoo(odoo: OdooStandIn) -> int:
    """Add a template with mugs in red and blue."""
    kind = odoo.world.create("product.attribute", name="Colour")
    values = [odoo.world.create("product.attribute.value", name=one, attribute_id=kind) for one in ("Red", "Blue")]
    lines = [[0, 0, {"attribute_id": kind, "value_ids": [[6, 0, values]]}]]
    template = odoo.world.create(
        "product.template", name="Mug", list_price=9.9, is_storable=True, attribute_line_ids=lines
    )
    for number, variant in enumerate(odoo.world.find("product.product", ["product_tmpl_id", "=", template]), 1):
        odoo.world.write("product.product", variant, default_code=f"MUG-{number}")
    return int(template)


def told_by(records: Mapping[str, Record]) -> Told:
    """Return what tells variations: SKU -> family, options, price, whether it is in service."""
    return {
        one.content["sku"]: tuple(one.content[name] for name in ("family", "options", "price", "active"))
        for one in records.values()
        if not one.withheld and one.content["kind"] == "variation"
    }


def expected(members: Sequence[tuple[str, Mapping[str, str], str]]) -> Told:
    lowest = min(sku for sku, _, _ in members)
    return {sku: (lowest, dict(options), Decimal(price), True) for sku, options, price in members}


def shown(shop: ServedShop) -> tuple[Told, Told]:
    """Return the variations of the shop and of Odoo as the pipeline reads them."""

    async def read(woocommerce: WooCommerceClient, odoo: OdooClient) -> tuple[Told, Told]:
        left, right = WooCommerceProducts(woocommerce, SETTINGS), OdooProducts(odoo, SETTINGS)
        return told_by(await everything(left)), told_by(await everything(right))

    return Peers(shop.shop, shop.odoo, shop.shop_url, shop.odoo_url).run(read)


def templates(odoo: OdooStandIn) -> list[int]:
    return odoo.world.find("product.template")


@pytest.mark.parametrize("members", [COLOURS, SHIRTS], ids=["one attribute", "two attributes"])
def test_given_a_family_of_the_shop_when_synchronized_then_odoo_has_it_and_a_second_run_writes_nothing(
    shop: ServedShop, members: Sequence[tuple[str, Mapping[str, str], str]]
) -> None:
    in_shop(shop.shop.world, members)

    shop.carried_out(PRODUCTS)
    assert shown(shop) == (expected(members), expected(members))
    assert len(templates(shop.odoo)) == 1
    assert shop.odoo.world.read("product.template", templates(shop.odoo)[0], "name", "sale_ok") == {
        "id": templates(shop.odoo)[0],
        "name": "Mug",
        "sale_ok": True,
    }
    before = shop.writes
    shop.carried_out(PRODUCTS)
    shop.carried_out(PRODUCTS, full=True)
    assert (shop.writes, shop.conflicts()) == (before, [])


def test_given_a_family_of_odoo_when_synchronized_then_the_shop_has_it_and_a_second_run_writes_nothing(
    shop: ServedShop,
) -> None:
    template = in_odoo(shop.odoo)

    shop.carried_out(PRODUCTS)
    members = [("MUG-1", {"Colour": "Red"}, "9.90"), ("MUG-2", {"Colour": "Blue"}, "9.90")]
    assert shown(shop) == (expected(members), expected(members))
    (parent,) = [one for one in shop.shop.world.products.values() if one.type == "variable"]
    assert (parent.values["name"], parent.values["sku"]) == ("Mug", f"ODOO-TEMPLATE-{template}")
    assert all(shop.shop.world.products[one].values["manage_stock"] for one in parent.variations)
    before = shop.writes
    shop.carried_out(PRODUCTS)
    shop.carried_out(PRODUCTS, full=True)
    assert (shop.writes, shop.conflicts()) == (before, [])


def test_given_a_family_that_both_have_when_variations_are_added_in_both_then_both_have_all_of_them(
    shop: ServedShop,
) -> None:
    parent = in_shop(shop.shop.world, COLOURS)
    shop.carried_out(PRODUCTS)
    world = shop.odoo.world
    shop.shop.world.clock.advance(3600)
    # The lowest SKU names the family: it has another name from now on.
    add_variation(shop.shop.world, parent, "MUG-0", {"Colour": "Black"}, "11.00")
    world.clock.advance(3600)
    (line,) = world.find("product.template.attribute.line")
    colour = world.read("product.template.attribute.line", line, "attribute_id")["attribute_id"][0]
    white = world.create("product.attribute.value", name="White", attribute_id=colour)
    world.write("product.template.attribute.line", line, value_ids=[[4, white, 0]])
    (variant,) = world.find("product.product", ["default_code", "=", False])
    world.write("product.product", variant, default_code="MUG-9")

    shop.carried_out(PRODUCTS)
    shop.carried_out(PRODUCTS)
    members = [*COLOURS, ("MUG-0", {"Colour": "Black"}, "11.00"), ("MUG-9", {"Colour": "White"}, "9.90")]
    assert shown(shop) == (expected(members), expected(members))
    assert (len(templates(shop.odoo)), shop.conflicts()) == (1, [])
    before = shop.writes
    shop.carried_out(PRODUCTS)
    assert shop.writes == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            [{"Colour": "Red", "Size": "S"}, {"Colour": "Blue"}],
            "leaves open its Size|2 variants of the template 1 stand for",
        ),
        ([{"Colour": "Red"}, {"Colour": "Red"}], "has the code"),
    ],
    ids=["any size", "the same twice"],
)
def test_given_options_that_odoo_cannot_have_when_synchronized_then_that_variation_is_a_validation_error(
    shop: ServedShop, options: Sequence[Mapping[str, str]], told: str
) -> None:
    names = {"Colour": ["Red", "Blue"], **({"Size": ["S", "L"]} if "Size" in options[0] else {})}
    attributes = [{"name": name, "options": one, "variation": True} for name, one in names.items()]
    parent = shop.shop.world.add_product(name="Mug", type="variable", attributes=attributes)
    for number, one in enumerate(options):
        add_variation(shop.shop.world, parent.id, f"MUG-{number}", one, "9.90")

    shop.carried_out(PRODUCTS)
    (conflict,) = shop.conflicts()
    # Which of the two siblings comes first is open.
    assert re.search(told, str(conflict))
    assert conflict.kind is Kind.VALIDATION_ERROR
    assert len(shown(shop)[1]) == 1


def test_given_a_sibling_that_is_a_product_without_options_when_synchronized_then_no_template_is_made(
    shop: ServedShop,
) -> None:
    in_shop(shop.shop.world, COLOURS)
    shop.odoo.world.create("product.product", name="Mug", default_code="MUG-1")

    shop.carried_out(PRODUCTS)
    assert len(templates(shop.odoo)) == 1
    refused = {one.item: (one.kind, "without options" in str(one)) for one in shop.conflicts() if one.item != "MUG-1"}
    assert refused == dict.fromkeys(("MUG-2", "MUG-3"), (Kind.VALIDATION_ERROR, True))


async def bring(side: OdooProducts | WooCommerceProducts, source: Mapping[str, Record]) -> None:
    """Create all variations at once, those that are there already left out, as the engine does after a kill."""
    missing = [
        one
        for one in source.values()
        if not one.withheld and one.content["kind"] == "variation" and not await side.find(one.natural_key)
    ]
    made = await asyncio.gather(*(side.create(one.natural_key, one.content) for one in missing), return_exceptions=True)
    problems = [one for one in made if isinstance(one, BaseException)]
    for problem in problems:
        assert isinstance(problem, PeerError), problem
    if problems:
        raise problems[0]


@pytest.mark.parametrize("kind", [pytest.param(FaultKind.DROP, marks=pytest.mark.long), FaultKind.DROP_AFTER_COMMIT])
@pytest.mark.parametrize("step", range(13))
def test_given_a_request_to_odoo_that_is_lost_when_made_again_by_another_process_then_all_is_there_once(
    peers: Peers, step: int, kind: FaultKind
) -> None:
    in_shop(peers.shop.world, SHIRTS)
    fault = peers.odoo.faults.add(kind, method="POST", path="/(create|write|load)$", skip=step, times=1)

    async def work(woocommerce: WooCommerceClient, odoo: OdooClient) -> None:
        left = WooCommerceProducts(woocommerce, SETTINGS)
        source = await everything(left)
        try:
            await bring(OdooProducts(odoo, SETTINGS, left.family), source)
        except PeerError:
            right = OdooProducts(odoo, SETTINGS, left.family)
            await bring(right, source)
        assert fault.fired == 1, "a family takes fewer requests than the table has steps"
        assert told_by(await everything(right)) == expected(SHIRTS)

    peers.run(work)
    assert len(templates(peers.odoo)) == 1
    assert len(peers.odoo.world.find("product.attribute")) == 2
    assert len(peers.odoo.world.find("product.attribute.value")) == 4


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER_COMMIT])
@pytest.mark.parametrize("step", range(3))
def test_given_a_request_to_the_shop_that_is_lost_when_made_again_by_another_process_then_all_is_there_once(
    peers: Peers, step: int, kind: FaultKind
) -> None:
    in_odoo(peers.odoo)
    peers.shop.faults.add(kind, method="POST", path="/products", skip=step, times=1)

    async def work(woocommerce: WooCommerceClient, odoo: OdooClient) -> None:
        right = OdooProducts(odoo, SETTINGS)
        source = await everything(right)
        with pytest.raises(PeerError):
            await bring(WooCommerceProducts(woocommerce, SETTINGS, families=right.family), source)
        left = WooCommerceProducts(woocommerce, SETTINGS, families=right.family)
        await bring(left, source)
        assert told_by(await everything(left)) == told_by(source)

    peers.run(work)
    assert sorted(one.type for one in peers.shop.world.products.values()) == [
        "variable",
        "variation",
        "variation",
    ]


def run_once(shop_url: str, odoo_url: str, engine: Engine) -> None:
    """Synchronize the products, in the process that is to be killed."""
    connection = connection_of(shop_url, odoo_url, entities=["customers", "products"])
    request = Request("killed", "ada", (PRODUCTS,))
    asyncio.run(carry_out(connection, engine, request, logging.getLogger("killed"), []))


@pytest.mark.parametrize("number", [*(pytest.param(one, marks=pytest.mark.long) for one in (1, 5)), 9])
def test_given_a_process_killed_while_it_makes_a_family_then_the_next_run_completes_it(
    shop: ServedShop, number: int
) -> None:
    in_shop(shop.shop.world, COLOURS)
    point = Point("Odoo has answered a write of the family; that is noted nowhere", Reply(number))

    work = partial(run_once, shop.shop_url, shop.odoo_url)
    child.kill(shop.engine, work, point, About("", "/(create|write|load)$"))
    with shop.engine.begin() as store:
        store.execute(text("UPDATE sync.lease SET expires_at = expires_at - interval '1 hour'"))
        store.execute(text("UPDATE sync.effect SET intended_at = intended_at - interval '1 hour'"))
    shop.carried_out(PRODUCTS)
    shop.carried_out(PRODUCTS)

    assert shown(shop) == (expected(COLOURS), expected(COLOURS))
    assert (len(templates(shop.odoo)), shop.conflicts()) == (1, [])


@pytest.mark.parametrize(
    ("prices", "extras"),
    [
        ({"S/Red": 10, "S/Blue": 12, "L/Red": 15, "L/Blue": 17}, {"Red": 0, "Blue": 2, "S": 0, "L": 5}),
        ({"S/Red": 10, "L/Blue": 17}, {"S": 0, "Red": 0, "L": 0, "Blue": 7}),
        ({"S/Red": 10, "S/Blue": 12, "L/Red": 15, "L/Blue": 99}, {}),
        ({}, {}),
    ],
    ids=["sums", "not all combinations", "no sums", "nothing for sale"],
)
def test_prices_of_two_attributes_are_extras_of_their_options_where_sums_make_them(
    prices: Mapping[str, int], extras: Mapping[str, int]
) -> None:
    members = []
    for options, price in prices.items():
        size, colour = options.split("/")
        members.append(Member(options, {"Size": size, "Colour": colour}, Decimal(price)))
    family = Family(1, "Shirt", True, True, False, {}, (), tuple(members))
    assert {option: int(extra) for (_, option), extra in extras_of(family).items()} == extras
