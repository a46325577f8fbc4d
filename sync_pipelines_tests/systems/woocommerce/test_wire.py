from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.woocommerce.wire import (
    CUSTOMER,
    NEW_CUSTOMER,
    ORDER,
    PRODUCT,
    REFUND,
    VARIATION,
    Fields,
    Unsendable,
    body_of,
    number_text,
    utc_text,
)

LINE = {"product_id": 7, "quantity": 1}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("9.90"), "9.90"),
        (Decimal("1E3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0.00"), "0.00"),
        (Decimal("-5.00"), "-5.00"),
        (12, "12"),
    ],
)
def test_a_number_is_plain_digits_with_a_point(number: Decimal | int, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    "number",
    [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("1E400"), Decimal("1E-400"), 9.9, "9.90", True],
)
def test_what_would_be_damaged_on_the_way_is_not_sent(number: Any) -> None:
    with pytest.raises(Unsendable):
        number_text(number)


def test_a_time_is_naive_utc_in_whole_seconds() -> None:
    berlin = timezone(timedelta(hours=1))
    assert utc_text(datetime(2026, 11, 22, 4, 7, 5, 999_999, berlin)) == "2026-11-22T03:07:05"
    with pytest.raises(Unsendable):
        utc_text(datetime(2026, 11, 22))


@pytest.mark.parametrize(
    ("fields", "values", "body"),
    [
        (PRODUCT, {"regular_price": Decimal("9.90"), "sale_price": None}, {"regular_price": "9.90", "sale_price": ""}),
        (PRODUCT, {"sku": " A-1 ", "name": " Mug "}, {"sku": "A-1", "name": " Mug "}),
        (
            PRODUCT,
            {"stock_quantity": Decimal("5.00"), "manage_stock": True},
            {"stock_quantity": 5, "manage_stock": True},
        ),
        (PRODUCT, {"stock_quantity": -2}, {"stock_quantity": -2}),
        (PRODUCT, {"date_on_sale_to_gmt": None}, {"date_on_sale_to_gmt": None}),
        (
            PRODUCT,
            {"date_on_sale_to_gmt": datetime(2026, 1, 2, tzinfo=UTC)},
            {"date_on_sale_to_gmt": "2026-01-02T00:00:00"},
        ),
        (PRODUCT, {"categories": [{"id": 15}]}, {"categories": [{"id": 15}]}),
        (
            VARIATION,
            {"attributes": [{"name": "Size", "option": "S"}]},
            {"attributes": [{"name": "Size", "option": "S"}]},
        ),
        (NEW_CUSTOMER, {"username": "iris", "email": " i@x.test "}, {"username": "iris", "email": "i@x.test"}),
        (ORDER, {"line_items": [{"id": 3, "quantity": 0}]}, {"line_items": [{"id": 3, "quantity": 0}]}),
        (ORDER, {"line_items": [{**LINE, "total": Decimal("8.1")}]}, {"line_items": [{**LINE, "total": "8.1"}]}),
        (ORDER, {"fee_lines": [{"total": Decimal("-1.50")}]}, {"fee_lines": [{"total": "-1.50"}]}),
        (ORDER, {"customer_id": 0}, {"customer_id": 0}),
        (
            ORDER,
            {"meta_data": [{"key": "odoo", "value": {"n": Decimal("1.5"), "l": [1, None]}}]},
            {"meta_data": [{"key": "odoo", "value": {"n": "1.5", "l": [1, None]}}]},
        ),
        (REFUND, {"amount": Decimal("5.00"), "reason": "Scratch"}, {"amount": "5.00", "reason": "Scratch"}),
    ],
)
def test_values_become_what_the_shop_wants(fields: Fields, values: dict[str, Any], body: dict[str, Any]) -> None:
    assert body_of(values, fields) == body


@pytest.mark.parametrize(
    ("fields", "values", "place"),
    [
        (PRODUCT, {"regular_price": 9.9}, "regular_price: 9.9"),
        (PRODUCT, {"regular_price": "9,90abc"}, "regular_price:"),
        (PRODUCT, {"regular_price": Decimal("-1")}, "regular_price:"),
        (PRODUCT, {"regular_price": Decimal("NaN")}, "regular_price:"),
        (PRODUCT, {"weight": "0,3"}, "weight:"),
        (PRODUCT, {"dimensions": {"length": 0.1}}, "dimensions: length:"),
        (PRODUCT, {"stock_quantity": Decimal("2.5")}, "stock_quantity:"),
        (PRODUCT, {"stock_quantity": True}, "stock_quantity:"),
        (PRODUCT, {"status": "trash"}, "status:"),
        (PRODUCT, {"status": "nonsense"}, "status:"),
        (PRODUCT, {"name": 5}, "name:"),
        (PRODUCT, {"price": Decimal("1")}, "price: is not a field"),
        (PRODUCT, {"date_modified_gmt": datetime(2026, 1, 1, tzinfo=UTC)}, "date_modified_gmt: is not a field"),
        (CUSTOMER, {"username": "x"}, "username: is not a field"),
        (CUSTOMER, {"billing": "x"}, "billing:"),
        (CUSTOMER, {"shipping": {"email": "i@x.test"}}, "shipping: email: is not a field"),
        (ORDER, {"status": "wc-completed"}, "status:"),
        (ORDER, {"line_items": [LINE, {"product_id": 7, "quantity": 0}]}, "line_items: item 1: quantity:"),
        (ORDER, {"line_items": [{"name": "Custom work", "quantity": 1}]}, "line_items: item 0: product_id:"),
        (ORDER, {"line_items": [{**LINE, "quantity": -1}]}, "line_items: item 0: quantity:"),
        (ORDER, {"line_items": [{**LINE, "total": 8.1}]}, "line_items: item 0: total:"),
        (ORDER, {"line_items": "x"}, "line_items:"),
        (ORDER, {"meta_data": [{"key": "x", "value": 0.1}]}, "meta_data: item 0: value:"),
        (REFUND, {"amount": Decimal("-5")}, "amount:"),
    ],
)
def test_a_value_that_the_shop_would_bend_is_refused_with_its_place(
    fields: Fields, values: dict[str, Any], place: str
) -> None:
    with pytest.raises(Unsendable) as caught:
        body_of(values, fields)
    assert caught.value.message.startswith(place)
    assert caught.value.kind is FailureKind.PERMANENT
