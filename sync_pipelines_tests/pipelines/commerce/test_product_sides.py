"""Products, read from and written to served systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.commerce.products.fields import PRODUCT_FIELDS
from sync_pipelines.pipelines.commerce.products.mapping import ProductSettings
from sync_pipelines.pipelines.commerce.products.odoo_side import OdooProducts
from sync_pipelines.pipelines.commerce.products.woocommerce_side import WooCommerceProducts
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient
from sync_pipelines.systems.woocommerce import WooCommerceClient
from sync_pipelines_tests.pipelines.commerce.peers import Peers, everything, serving

Side = WooCommerceProducts | OdooProducts
SETTINGS = ProductSettings(shop_weight_unit="g", kept_out=frozenset({"SHIP"}))
MUG: Content = {
    "kind": "simple",
    "sku": "MUG-1",
    "gtin": "4006381333931",
    "name": "Salt & pepper mug",
    "price": Decimal("9.90"),
    "weight": Decimal("0.35"),
    "description": "Made by hand.\nDishwasher < 60 °C.",
    "for_sale": True,
    "active": True,
    "stock_kept": True,
}
BARE: Content = {
    **dict.fromkeys(MUG),
    "kind": "simple",
    "sku": "B-1",
    "name": "Bare",
    "price": Decimal(0),
    "for_sale": False,
    "active": True,
    "stock_kept": False,
}


@pytest.fixture
def peers() -> Iterator[Peers]:
    with serving(WooCommerceStandIn(ShopWorld()), OdooStandIn()) as served:
        yield served


def sides(shop: WooCommerceClient, odoo: OdooClient) -> tuple[WooCommerceProducts, OdooProducts]:
    return WooCommerceProducts(shop, SETTINGS), OdooProducts(odoo, SETTINGS)


async def made(side: Side, content: Content) -> Record:
    """Create a record as the engine does: the first step, then what it left out."""
    record = await read(side, await side.create(content["sku"], content))
    missing = [name for name in content if not same(record.content.get(name), content[name])]
    if missing:
        await side.write(record, content, missing)
    return await read(side, record.key)


async def read(side: Side, key: str) -> Record:
    record = await side.read(key)
    assert record is not None
    return record


def family_in_shop(world: ShopWorld) -> int:
    """Add mugs in red and blue; return the product."""
    colour = {"name": "Colour", "options": ["Red", "Blue"], "variation": True, "visible": True}
    parent = world.add_product(name="Mug", type="variable", attributes=[colour])
    for number, option in ((1, "Red"), (2, "Blue")):
        chosen = [{"name": "Colour", "option": option}]
        world.add_variation(parent.id, sku=f"MUG-{number}", regular_price="9.90", attributes=chosen)
    return parent.id


def family_in_odoo(odoo: OdooStandIn, *more: str) -> tuple[int, list[int]]:
    """Add mugs in red and blue, and of other attributes with two values each; return template and variants."""
    world, lines = odoo.world, []
    for name, options in (("Colour", ("Red", "Blue")), *((name, ("A", "B")) for name in more)):
        kind = world.create("product.attribute", name=name)
        values = [world.create("product.attribute.value", name=option, attribute_id=kind) for option in options]
        lines.append([0, 0, {"attribute_id": kind, "value_ids": [[6, 0, values]]}])
    template = world.create("product.template", name="Mug", list_price=9.9, attribute_line_ids=lines)
    variants = world.find("product.product", ["product_tmpl_id", "=", template])
    for number, variant in enumerate(variants, 1):
        world.write("product.product", variant, default_code=f"MUG-{number}")
    return template, variants


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
@pytest.mark.parametrize("content", [MUG, BARE], ids=["full", "bare"])
def test_given_a_simple_product_when_created_then_that_is_what_is_read_looked_up_and_listed(
    peers: Peers, system: int, content: Content
) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        record = await made(side, content)
        assert record.content == content
        assert record.content.keys() <= set(PRODUCT_FIELDS.names)
        assert [one.content for one in await side.find(record.natural_key)] == [content]
        found = [one async for page in side.look([record.natural_key, "OTHER"], Sweep()) for one in page]
        assert [one.key for one in found] == [record.key]
        assert (await everything(side))[record.key].content == content

    peers.run(work)


CHANGES: Sequence[Content] = [
    {"name": "Mug <large>"},
    {"sku": "MUG-2"},
    {"gtin": None},
    {"price": Decimal("12.00")},
    {"weight": None, "description": None},
    {"for_sale": False},
    {"active": False},
    {"stock_kept": False},
]


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ",".join(change))
def test_given_a_simple_product_when_some_fields_are_written_then_they_change_and_can_be_changed_back(
    peers: Peers, system: int, change: Content
) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        record = await made(side, MUG)
        for _ in range(2):
            await side.write(record, {**MUG, **change}, list(change))
        changed = await read(side, record.key)
        # What is in the trash is not published.
        hidden = {"for_sale": False} if change == {"active": False} and system == 0 else {}
        assert changed.content == {**MUG, **change, **hidden}
        await side.write(changed, MUG, [*change, *hidden])
        assert (await read(side, record.key)).content == MUG

    peers.run(work)


def test_given_prices_when_written_then_they_go_over_the_wire_as_plain_digits(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side, _ = sides(shop, odoo)
        record = await made(side, {**MUG, "price": Decimal("1E+3")})
        kept = peers.shop.world.products[int(record.key)].values
        assert (kept["regular_price"], kept["weight"]) == ("1000.00", "350.00")

    peers.run(work)


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
def test_given_a_variable_product_when_swept_then_its_variations_and_the_family_are_found(
    peers: Peers, system: int
) -> None:
    family_in_shop(peers.shop.world)
    family_in_odoo(peers.odoo)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        found = {record.natural_key: record for record in (await everything(side)).values() if not record.withheld}
        assert sorted(found) == ["MUG-1", "MUG-2", "VARIANTS OF MUG-1"]
        expected = {"kind": "variable", "family": "MUG-1", "name": "Mug", "for_sale": True, "active": True}
        assert found["VARIANTS OF MUG-1"].content == expected
        assert found["MUG-2"].content == {
            "kind": "variation",
            "family": "MUG-1",
            "options": {"Colour": "Blue"},
            "active": True,
            "sku": "MUG-2",
            "gtin": None,
            "price": Decimal("9.90"),
            "weight": None,
        }
        for key, record in found.items():
            assert [one.content for one in await side.find(key)] == [record.content]

    peers.run(work)


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
def test_given_a_family_when_a_variation_is_created_then_its_option_is_added_and_no_other_changes(
    peers: Peers, system: int
) -> None:
    family_in_shop(peers.shop.world)
    family_in_odoo(peers.odoo)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        before = {key: record.content for key, record in (await everything(side)).items()}
        wanted = {
            **(await side.find("MUG-1"))[0].content,
            "sku": "MUG-3",
            "options": {"Colour": "Green"},
            "price": Decimal("11.50"),
            "weight": Decimal("0.40"),
        }
        record = await made(side, wanted)
        after = {key: one.content for key, one in (await everything(side)).items()}
        assert after == {**before, record.key: wanted}
        with pytest.raises(PeerError) as refused:
            await side.create("X", {**wanted, "sku": "X", "family": "NOBODY"})
        assert refused.value.kind is FailureKind.PERMANENT

    peers.run(work)


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
def test_given_a_variation_when_written_and_retired_then_its_siblings_stay(peers: Peers, system: int) -> None:
    family_in_shop(peers.shop.world)
    family_in_odoo(peers.odoo)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        (one,), (sibling,) = await side.find("MUG-2"), await side.find("MUG-1")
        wanted = {**one.content, "price": Decimal("12.30"), "gtin": "123", "sku": "MUG-9"}
        await side.write(one, wanted, ["price", "gtin", "sku"])
        assert (await read(side, one.key)).content == wanted
        await side.retire(await read(side, one.key))
        assert (await read(side, one.key)).content == {**wanted, "active": False}
        assert (await read(side, sibling.key)).content == sibling.content

    peers.run(work)


def test_given_two_attributes_when_one_variants_price_is_written_to_odoo_then_it_is_refused(peers: Peers) -> None:
    _, variants = family_in_odoo(peers.odoo, "Size")

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = sides(shop, odoo)
        record = await read(side, str(variants[0]))
        with pytest.raises(PeerError, match="several attributes") as refused:
            await side.write(record, {**record.content, "price": Decimal(1), "gtin": "1"}, ["gtin", "price"])
        assert refused.value.kind is FailureKind.PERMANENT
        assert (await read(side, record.key)).content == {**record.content, "gtin": "1"}

    peers.run(work)


def test_given_a_name_when_written_to_a_template_with_variants_then_no_code_is_touched(peers: Peers) -> None:
    template, variants = family_in_odoo(peers.odoo)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = sides(shop, odoo)
        record = await read(side, f"template/{template}")
        await side.write(record, {**record.content, "name": "Cup"}, ["name"])
        assert (await read(side, record.key)).content == {**record.content, "name": "Cup"}
        assert [(await read(side, str(number))).content["sku"] for number in variants] == ["MUG-1", "MUG-2"]

    peers.run(work)


def test_given_a_trashed_holder_of_the_sku_when_created_then_it_is_refused_with_the_mend(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side, _ = sides(shop, odoo)
        record = await made(side, MUG)
        await side.retire(record)
        await side.retire(await read(side, record.key))
        assert [one.content["active"] for one in await side.find("MUG-1")] == [False]
        assert (await everything(side))[record.key].content["active"] is False
        with pytest.raises(PeerError, match=f"product {record.key} in the trash; restore it") as refused:
            await side.create("MUG-1", {**MUG, "gtin": None})
        assert refused.value.kind is FailureKind.PERMANENT

    peers.run(work)


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
def test_given_a_lost_reply_when_created_then_the_product_is_found_by_its_sku(peers: Peers, system: int) -> None:
    peers.shop.faults.add(FaultKind.DROP_AFTER_COMMIT, method="POST", path="/products", times=1)
    peers.odoo.faults.add(FaultKind.DROP_AFTER_COMMIT, method="POST", path="/create$", times=1)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = sides(shop, odoo)[system]
        with pytest.raises(PeerError) as lost:
            await side.create("MUG-1", MUG)
        assert lost.value.kind is FailureKind.AMBIGUOUS
        assert [one.content["name"] for one in await side.find("MUG-1")] == [MUG["name"]]

    peers.run(work)


@pytest.mark.parametrize("code", ["mug-1", " MUG-1", "MUG-1 ", "  Mug-1 "])
def test_given_a_code_written_otherwise_in_odoo_when_looked_up_then_it_is_found(peers: Peers, code: str) -> None:
    world = peers.odoo.world
    world.create("product.product", name="Mug", default_code=code)
    world.create("product.product", name="Other", default_code="MUG-10")

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = sides(shop, odoo)
        assert [one.content["sku"] for one in await side.find("MUG-1")] == [code.strip()]

    peers.run(work)


def test_given_products_that_are_none_of_the_shops_when_swept_then_they_are_withheld_with_a_reason(
    peers: Peers,
) -> None:
    world = peers.odoo.world
    bare = world.create("product.product", name="No code")
    shipping = world.create("product.product", name="Shipping", default_code="SHIP", type="service")
    grouped = peers.shop.world.add_product(name="Set", type="grouped", sku="SET").id
    unnamed = peers.shop.world.add_product(name="No SKU").id

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        left, right = [await everything(side) for side in sides(shop, odoo)]
        reasons = [right[str(bare)], right[str(shipping)], left[str(grouped)], left[str(unnamed)]]
        told = ["no internal reference", "stands in orders", "grouped", "no SKU"]
        assert all(text in (record.withheld or "") for text, record in zip(told, reasons, strict=True))

    peers.run(work)


def test_given_changes_when_read_by_window_then_a_changed_variation_brings_its_family(peers: Peers) -> None:
    parent = family_in_shop(peers.shop.world)
    _, variants = family_in_odoo(peers.odoo)
    peers.shop.world.add_product(name="Plain", sku="PLAIN")
    peers.odoo.world.create("product.product", name="Plain", default_code="PLAIN")
    since = datetime.now(UTC) + timedelta(minutes=30)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        for side in sides(shop, odoo):
            changed = [one.natural_key async for page in side.changed(since, Sweep()) for one in page]
            assert sorted(changed) == ["MUG-1", "MUG-2", "VARIANTS OF MUG-1"]

    peers.odoo.world.clock.advance(3600)
    peers.odoo.world.write("product.product", variants[1], barcode="55")
    peers.shop.world.clock.advance(3600)
    peers.shop.world.edit_product(peers.shop.world.products[parent].variations[1], regular_price="10.10")
    peers.run(work)
