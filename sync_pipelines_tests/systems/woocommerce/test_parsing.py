from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.systems.woocommerce.models import Address, ManagesStock
from sync_pipelines.systems.woocommerce.parsing import parse_customer, parse_order, parse_product, parse_variation
from sync_pipelines.systems.woocommerce.values import BadValue


def test_a_record_of_nothing_but_its_id_is_a_record() -> None:
    assert parse_product({"id": 7}).regular_price is None
    assert parse_variation({"id": 7}).attributes == ()
    assert parse_customer({"id": 7}).billing == Address()
    assert parse_order({"id": 7}).total == 0


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("regular_price", "", "regular_price", None),
        ("regular_price", None, "regular_price", None),
        ("regular_price", "12.0", "regular_price", Decimal("12.0")),
        ("regular_price", 12, "regular_price", Decimal(12)),
        ("regular_price", Decimal("9.90"), "regular_price", Decimal("9.90")),
        ("weight", "03", "weight", Decimal(3)),
        ("manage_stock", "parent", "manage_stock", ManagesStock.PARENT),
        ("manage_stock", True, "manage_stock", ManagesStock.YES),
        ("manage_stock", None, "manage_stock", ManagesStock.NO),
        ("stock_quantity", None, "stock_quantity", None),
        ("stock_quantity", Decimal("2.5"), "stock_quantity", Decimal("2.5")),
        ("dimensions", [], "weight", None),
        ("sku", None, "sku", ""),
        ("sku", 4711, "sku", "4711"),
        ("parent_id", "12", "parent_id", 12),
        ("date_modified_gmt", None, "modified", None),
        ("date_modified_gmt", "2026-11-22T02:07:56", "modified", datetime(2026, 11, 22, 2, 7, 56, tzinfo=UTC)),
        ("meta_data", [{"key": "a", "value": 1}, {"key": "a", "value": 2}, "x"], "meta", {"a": 2}),
        ("name", "A &amp; B", "name", "A &amp; B"),
    ],
)
def test_shops_differ_in_how_they_say_the_same(name: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(parse_product({"id": 7, name: value}), attribute) == expected


@pytest.mark.parametrize(
    ("parse", "row", "path"),
    [
        (parse_product, [], ""),
        (parse_product, {}, "id"),
        (parse_product, {"id": "7"}, "id"),
        (parse_product, {"id": True}, "id"),
        (parse_product, {"id": 7, "regular_price": "NaN"}, "regular_price"),
        (parse_product, {"id": 7, "regular_price": "1e999"}, "regular_price"),
        (parse_product, {"id": 7, "regular_price": "9,90"}, "regular_price"),
        (parse_product, {"id": 7, "regular_price": True}, "regular_price"),
        (parse_product, {"id": 7, "name": {"rendered": "x"}}, "name"),
        (parse_product, {"id": 7, "manage_stock": "maybe"}, "manage_stock"),
        (parse_product, {"id": 7, "date_modified_gmt": "yesterday"}, "date_modified_gmt"),
        (parse_product, {"id": 7, "variations": [8, "x"]}, "variations[1]"),
        (parse_product, {"id": 7, "attributes": {"a": 1}}, "attributes"),
        (parse_product, {"id": 7, "dimensions": {"width": "x"}}, "dimensions.width"),
        (parse_customer, {"id": 7, "billing": "x"}, "billing"),
        (parse_order, {"id": 7, "line_items": [{"id": 1}, {"id": 2, "total": "x"}]}, "line_items[1].total"),
        (parse_order, {"id": 7, "line_items": ["x"]}, "line_items[0]"),
    ],
)
def test_a_value_that_could_mean_anything_is_an_error_with_its_place(
    parse: Callable[[Any], Any], row: Any, path: str
) -> None:
    with pytest.raises(BadValue) as caught:
        parse(row)
    assert caught.value.path == path


def test_a_line_keeps_its_totals_exactly() -> None:
    line = {"id": 1, "quantity": 3, "total": "29.70", "price": Decimal("9.9000000000000004"), "sku": None}
    order = parse_order({"id": 7, "total": "29.70", "line_items": [line]})
    assert (order.lines[0].total, order.lines[0].price, order.lines[0].sku) == (
        Decimal("29.70"),
        Decimal("9.9000000000000004"),
        "",
    )


def test_only_the_fields_that_were_sent_count_as_present() -> None:
    part, more = parse_product({"id": 7, "sku": ""}), parse_product({"id": 7, "sku": "", "_links": {}})
    assert part.present == {"id", "sku"}
    assert part == more
