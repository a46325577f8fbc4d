"""The demo's shop as both systems show it: what is documented to differ does, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sync_pipelines.core.records import Record
from sync_pipelines.core.trees import same
from sync_pipelines.core.two_way import Alike
from sync_pipelines.pipelines.commerce.customers.mapping import ShopMark, links_by_reference
from sync_pipelines.pipelines.commerce.customers.mapping import alike as customers_alike
from sync_pipelines.pipelines.commerce.customers.odoo_side import OdooCustomers
from sync_pipelines.pipelines.commerce.customers.woocommerce_side import WooCommerceCustomers
from sync_pipelines.pipelines.commerce.geography import read_geography
from sync_pipelines.pipelines.commerce.products.mapping import Kind, ProductSettings
from sync_pipelines.pipelines.commerce.products.mapping import alike as products_alike
from sync_pipelines.pipelines.commerce.products.odoo_side import OdooProducts
from sync_pipelines.pipelines.commerce.products.woocommerce_side import WooCommerceProducts
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient
from sync_pipelines.systems.woocommerce import WooCommerceClient
from sync_pipelines_tests.pipelines.commerce.peers import Peers, everything, serving

Records = dict[str, Record]
DOCUMENTED = json.loads((Path(__file__).parent / "data" / "discrepancies_of_records.json").read_text("utf-8"))
"""Code, id in the shop, and code or reference in Odoo of every difference of a customer or a product."""
GUESTS = frozenset(f"guest{number}@mail.example.test" for number in range(3, 120, 8))
PRODUCTS = ProductSettings(kept_out=frozenset({"SHIP", "FEE", "MISC"}))


def ids(code: str) -> set[int]:
    return {woo for documented, woo, _ in DOCUMENTED if documented == code}


@pytest.fixture(scope="module")
def demo() -> Iterator[Peers]:
    with serving(WooCommerceStandIn.demo(), OdooStandIn.demo()) as peers:
        yield peers


@pytest.fixture(scope="module")
def customers(demo: Peers) -> tuple[Records, Records]:
    async def read(shop: WooCommerceClient, odoo: OdooClient) -> tuple[Records, Records]:
        geography = await read_geography(odoo)
        left = WooCommerceCustomers(shop, geography)
        right = OdooCustomers(odoo, geography, ShopMark("1", GUESTS))
        return await everything(left), await everything(right)

    return demo.run(read)


@pytest.fixture(scope="module")
def products(demo: Peers) -> tuple[Records, Records]:
    async def read(shop: WooCommerceClient, odoo: OdooClient) -> tuple[Records, Records]:
        return await everything(WooCommerceProducts(shop, PRODUCTS)), await everything(OdooProducts(odoo, PRODUCTS))

    return demo.run(read)


def differing(left: Record, right: Record, alike: Alike) -> frozenset[str]:
    assert left.content.keys() == right.content.keys()
    return frozenset(name for name in left.content if not alike(name, left.content[name], right.content[name]))


def test_given_the_demo_when_customers_are_compared_then_they_differ_where_it_is_documented(
    customers: tuple[Records, Records],
) -> None:
    left, right = customers
    links = links_by_reference(list(right.values()))
    found = {
        int(key): differing(left[key], right[other], customers_alike)
        for key, other in links.items()
        if not right[other].invalid
    }
    expected = {number: frozenset({"email"}) for number in ids("C01")}
    expected |= {number: frozenset({"name"}) for number in ids("C06")}
    # A state is nothing without its country; only one of these countries has states.
    expected |= {number: frozenset({"country", *(["state"] if number == 40 else [])}) for number in ids("C08")}
    expected |= {number: frozenset({"active"}) for number in ids("C10")}
    expected |= {number: frozenset({"street", "zip"}) for number in ids("C12")}
    # Written differently, and equal.
    assert not (ids("C07") | ids("C11")) & expected.keys()
    assert {number: names for number, names in found.items() if names} == expected


def test_given_the_demo_when_customers_are_compared_then_the_missing_invalid_and_double_ones_are_found(
    customers: tuple[Records, Records],
) -> None:
    left, right = customers
    wanted = {key: record for key, record in left.items() if record.withheld is None}
    links = links_by_reference(list(right.values()))
    assert {int(key) for key in wanted.keys() - links.keys()} == ids("C04")
    assert {int(key) for key, other in links.items() if right[other].invalid} == ids("C02")
    counted = Counter(record.natural_key for record in right.values() if not record.withheld)
    assert {int(key) for key, record in wanted.items() if counted[record.natural_key] > 1} == ids("C03")
    emails = {record.natural_key for record in wanted.values()}
    alone = [record for key, record in right.items() if key not in links.values() and record.natural_key not in emails]
    fairs = {record.natural_key for record in alone if not record.withheld}
    assert fairs == {f"fair{number}@expo.example.test" for number in (2, 3, 4)}
    reasons = Counter(record.withheld for record in alone if record.withheld)
    assert reasons["a guest of the shop, who is known by orders only"] == 15
    assert reasons["without an e-mail address it cannot be a customer of the shop"] >= 1


def by_key(records: Records) -> Mapping[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records.values():
        if record.withheld is None and record.invalid is None:
            found.setdefault(record.natural_key, []).append(record)
    return found


def number_of(record: Record) -> int:
    return int(record.key.rpartition("/")[2])


def test_given_the_demo_when_products_are_compared_then_they_differ_where_it_is_documented(
    products: tuple[Records, Records],
) -> None:
    left, right = by_key(products[0]), by_key(products[1])
    assert all(len(records) == 1 for records in left.values())
    found = {}
    for key in left.keys() & right.keys():
        if len(right[key]) == 1 and (names := differing(left[key][0], right[key][0], products_alike)):
            found[number_of(left[key][0])] = names
    expected = {number: frozenset({"price"}) for number in ids("P01") | ids("P13")}
    expected |= {number: frozenset({"name"}) for number in ids("P02")}
    expected |= {number: frozenset({"active"}) for number in ids("P08")}
    expected |= {number: frozenset({"gtin"}) for number in ids("P09")}
    expected |= {number: frozenset({"options", "price"}) for number in ids("P11")}
    assert not (ids("P10") | ids("P12")) & expected.keys()
    assert found == expected


def test_given_the_demo_when_products_are_compared_then_the_missing_and_double_ones_are_found(
    products: tuple[Records, Records],
) -> None:
    left, right = by_key(products[0]), by_key(products[1])
    respelled = {33, 41, 77, 152}
    assert ids("P07") == respelled
    missing = {number_of(left[key][0]) for key in left.keys() - right.keys()}
    # Of the four that are written differently, one has another code.
    assert missing == ids("P04") | {77}
    assert {number_of(left[key][0]) for key, found in right.items() if key in left and len(found) > 1} == ids("P06")
    assert right.keys() - left.keys() == {"NW-WH-1", "NW-WH-2", "NW-WH-3", "NW-WH-4", "NW_LI_1066"}


def test_given_the_demo_when_products_are_read_then_those_without_a_code_are_withheld_and_families_found(
    products: tuple[Records, Records],
) -> None:
    for side in products:
        kinds = Counter(record.content["kind"] for record in side.values() if record.content)
        assert kinds[Kind.VARIABLE] == 22
        assert sum("SKU" in (record.withheld or "") for record in side.values()) == 2
    keys = [
        {record.natural_key for record in side.values() if record.natural_key[:9] == "VARIANTS "} for side in products
    ]
    assert keys[0] == keys[1]
    assert same(products[0]["193/194"].content["options"], {"Colour": "Grey", "Size": "130x180"})
