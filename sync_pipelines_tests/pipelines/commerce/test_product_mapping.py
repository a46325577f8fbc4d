"""Products of either system as one form, and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.commerce.products.mapping import (
    Choice,
    ProductSettings,
    alike,
    blocked_in_odoo,
    natural_key,
    not_creatable,
    record_of_odoo,
    record_of_shop,
    records_of_odoo_family,
    records_of_shop_family,
)
from sync_pipelines.pipelines.commerce.products.writing import odoo_values, shop_values
from sync_pipelines.systems.odoo.parsing import parse_template, parse_variant
from sync_pipelines.systems.woocommerce import Attribute, AttributeValue, ManagesStock, Product, Variation

SETTINGS = ProductSettings(shop_weight_unit="g")
MUG = Product(
    id=11,
    type="simple",
    status="publish",
    name="Salt &amp; pepper",
    sku=" MUG-1 ",
    gtin="4006381333931",
    regular_price=Decimal("9.9"),
    weight=Decimal("337"),
    short_description="<p>Hand made.</p>\n",
    manage_stock=ManagesStock.YES,
)
CASES = {
    "full": MUG,
    "bare": Product(id=12, type="simple", status="draft", sku="B", name="B"),
    "private": replace(MUG, status="private", regular_price=None),
    "price of 0": replace(MUG, regular_price=Decimal("0.00")),
    "price noise": replace(MUG, regular_price=Decimal("9.8951")),
}


def seen_in_odoo(values: dict[str, Any]) -> Content:
    """Return the content of the variant that Odoo shows after these values were written."""
    row = {"id": 5, "product_tmpl_id": [6, ""], "active": True, **values, "lst_price": values["list_price"]}
    return record_of_odoo(parse_variant(row), SETTINGS).content


@pytest.mark.parametrize("product", CASES.values(), ids=CASES.keys())
def test_given_a_product_when_written_to_odoo_and_read_then_the_content_is_alike(product: Product) -> None:
    record = record_of_shop(product, SETTINGS)
    content = record.content
    found = seen_in_odoo(odoo_values(content, content.keys(), SETTINGS))
    assert found.keys() == content.keys()
    assert all(alike(name, content[name], found[name]) for name in content)
    assert natural_key(found) == record.natural_key


@pytest.mark.parametrize("product", CASES.values(), ids=CASES.keys())
def test_given_a_content_when_written_to_the_shop_and_read_then_it_is_the_same(product: Product) -> None:
    content = record_of_shop(product, SETTINGS).content
    values = shop_values(content, content.keys(), product.status, SETTINGS)
    kept = {
        "sku": values["sku"],
        "gtin": values["global_unique_id"],
        "name": values["name"],
        "regular_price": values["regular_price"],
        "weight": values["weight"],
        "short_description": values["short_description"],
        "manage_stock": ManagesStock.YES if values["manage_stock"] else ManagesStock.NO,
        "status": values.get("status", product.status),
    }
    assert record_of_shop(replace(product, **kept), SETTINGS).content == content


@pytest.mark.parametrize(
    ("status", "wanted", "sent"),
    [
        ("publish", {"for_sale": True}, None),
        ("publish", {"for_sale": False}, "draft"),
        ("private", {"for_sale": False}, None),
        ("pending", {"for_sale": False}, None),
        ("private", {"for_sale": True}, "publish"),
        ("trash", {"for_sale": False, "active": True}, "draft"),
        ("trash", {"for_sale": True, "active": True}, "publish"),
        ("publish", {"for_sale": True, "active": False}, None),
        ("", {"for_sale": False}, "draft"),
    ],
)
def test_given_a_status_when_another_state_is_wanted_then_the_nearest_status_is_sent(
    status: str, wanted: Content, sent: str | None
) -> None:
    content = {**record_of_shop(MUG, SETTINGS).content, **wanted}
    assert shop_values(content, wanted.keys(), status, SETTINGS).get("status") == sent


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("sku", "NW-1", "nw-1", True),
        ("sku", "NW-1", "NW_1", False),
        ("price", None, Decimal(0), True),
        ("price", Decimal("40"), Decimal(0), False),
        ("price", Decimal("12.0"), Decimal("12.00"), True),
        ("name", "Mug", "mug", False),
    ],
)
def test_given_two_values_when_compared_then_only_what_matters_counts(
    name: str, one: object, other: object, equal: bool
) -> None:
    assert alike(name, one, other) is equal
    assert alike(name, other, one) is equal


def family_of_shop() -> tuple[Product, list[Variation]]:
    attributes = (
        Attribute(0, "Colour", ("Red", "Blue"), variation=True),
        Attribute(0, "Size", ("S",), variation=True),
        Attribute(0, "Material", ("Clay",)),
    )
    parent = Product(id=20, type="variable", status="publish", sku="MUG", name="Mug", attributes=attributes)
    variations = [
        Variation(
            id=20 + number,
            parent_id=20,
            status=status,
            sku=sku,
            regular_price=Decimal("9.90"),
            attributes=(AttributeValue(0, "Colour", option), AttributeValue(0, "Size", "S")),
        )
        for number, sku, option, status in (
            (1, "MUG-2", "Red", "publish"),
            (2, "mug-1", "Blue", "private"),
            (3, "", "", ""),
        )
    ]
    return parent, variations


def test_given_a_family_when_mapped_on_both_sides_then_the_contents_are_alike() -> None:
    left = {record.natural_key: record for record in records_of_shop_family(*family_of_shop(), SETTINGS)}
    choices = {
        number: Choice(number, "Colour", option, Decimal(0), None) for number, option in ((1, "Red"), (2, "Blue"))
    }
    rows = [
        {"id": 31, "default_code": "MUG-2", "product_template_variant_value_ids": [1], "active": True},
        {"id": 32, "default_code": " MUG-1", "product_template_variant_value_ids": [2], "active": False},
    ]
    variants = [parse_variant({**row, "lst_price": 9.9, "product_tmpl_id": [30, ""]}) for row in rows]
    template = parse_template({"id": 30, "name": "Mug", "sale_ok": True, "active": True})
    right = {one.natural_key: one for one in records_of_odoo_family(template, variants, choices, SETTINGS)}
    assert right.keys() == {"VARIANTS OF MUG-1", "MUG-1", "MUG-2"} == left.keys() - {""}
    assert left[""].withheld
    assert "no SKU" in left[""].withheld
    for key, record in right.items():
        assert left[key].content.keys() == record.content.keys()
        assert all(alike(name, value, record.content[name]) for name, value in left[key].content.items())
        assert natural_key(record.content) == key


def test_given_a_family_without_codes_when_mapped_then_it_waits_for_them() -> None:
    parent, variations = family_of_shop()
    records = records_of_shop_family(parent, [replace(one, sku="") for one in variations], SETTINGS)
    assert all(record.withheld for record in records)


def test_given_a_template_when_values_are_made_for_it_then_there_is_no_code_among_them() -> None:
    parent, *_ = records_of_shop_family(*family_of_shop(), SETTINGS)
    assert odoo_values(parent.content, parent.content.keys(), SETTINGS).keys() == {"name", "sale_ok", "active"}


def test_given_the_price_of_a_variation_when_values_are_made_then_its_siblings_list_price_is_not_written() -> None:
    _, variation, *_ = records_of_shop_family(*family_of_shop(), SETTINGS)
    assert odoo_values(variation.content, ["price"], SETTINGS) == {}
    several = {**variation.content, "options": {"Colour": "Red", "Size": "S"}}
    assert blocked_in_odoo(variation.content, variation.content, ["price"]) == {}
    assert blocked_in_odoo(several, several, ["price", "gtin", "options"]).keys() == {"price", "options"}


def test_given_what_is_out_of_service_or_a_family_when_missing_elsewhere_then_it_is_not_made() -> None:
    content = record_of_shop(MUG, SETTINGS).content
    parent, *_ = records_of_shop_family(*family_of_shop(), SETTINGS)
    assert not_creatable(content) is None
    assert not_creatable({**content, "active": False}) == "it is out of service"
    assert "with the first of its variations" in (not_creatable(parent.content) or "")


def test_given_whole_numbers_as_json_has_them_when_written_then_they_are_money_and_weight_all_the_same() -> None:
    content = {**record_of_shop(MUG, SETTINGS).content, "price": 40, "weight": 2}

    written = shop_values(content, ["price", "weight"], "publish", ProductSettings(shop_weight_unit="kg"))

    assert (str(written["regular_price"]), str(written["weight"])) == ("40.00", "2.00")
