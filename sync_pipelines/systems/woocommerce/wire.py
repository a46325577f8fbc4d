"""Bodies of writes: one table for each kind of record, every value in the exact form that WooCommerce wants.

Nothing else stands between a wrong value and the shop: the batch endpoint checks no types, and the shop cleans prices
instead of refusing them (``"1e3"`` becomes 13, ``"9,90abc"`` 990, ``"abc"`` no price at all, ``"NaN"`` stays).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.woocommerce.errors import Reason, WooCommerceError

Converter = Callable[[Any], Any]
Fields = Mapping[str, Converter]

MAX_DIGITS = 15
"""Digits before the point, and after it, of the numbers that are sent: PHP calculates with doubles."""


class Unsendable(WooCommerceError, ValueError):
    """A value has no right form on the wire; nothing was sent. It is the record that is wrong, not the run."""

    def __init__(self, problem: str) -> None:
        super().__init__(FailureKind.PERMANENT, problem, reason=Reason.VALIDATION)


def body_of(values: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Return the JSON body for some fields of a record.

    Arguments:
        values: field names of WooCommerce; amounts as ``Decimal``, times aware, ``None`` for an empty value.
        fields: table of the kind of record.

    Raises:
        Unsendable: an unknown field, or a value that the field cannot take. The message names the field.
    """
    body = {}
    for name, value in values.items():
        convert = fields.get(name)
        if convert is None:
            raise Unsendable(f"{name}: is not a field that can be written here")
        try:
            body[name] = convert(value)
        except Unsendable as error:
            raise Unsendable(f"{name}: {error.message}") from None
    return body


def number_text(value: Any) -> str:
    """Return a number as WooCommerce wants it: plain digits with a point, never an exponent."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise Unsendable(f"{value!r:.40} is not a Decimal")
    number = Decimal(value)
    if not number.is_finite():
        raise Unsendable(f"{value} is not a finite number")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if number.adjusted() >= MAX_DIGITS or exponent < -MAX_DIGITS:
        raise Unsendable(f"{value!s:.60} has more digits than a price can have")
    # Minus nothing would stay as "-0" in the shop.
    return format(abs(number) if number == 0 else number, "f")


def utc_text(value: Any) -> str:
    """Return a time as naive UTC in whole seconds, which goes with ``dates_are_gmt`` and the ``*_gmt`` fields."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Unsendable(f"{value!r:.60} is not a time with a zone")
    return value.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


def _price(value: Any) -> str:
    if value is None:
        return ""
    if (text := number_text(value)).startswith("-"):
        raise Unsendable(f"{value} is negative")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unsendable(f"{value!r:.40} is not a text")
    return str(value)


def _code(value: Any) -> str:
    return _text(value).strip()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unsendable(f"{value!r:.40} is neither true nor false")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if type(value) is not int:
        raise Unsendable(f"{value!r:.40} is not a whole number")
    return value


def _identifier(value: Any) -> int:
    if type(value) is not int or value <= 0:
        raise Unsendable(f"{value!r:.40} is not an id")
    return value


def _identifier_or_none(value: Any) -> int:
    return 0 if type(value) is int and value == 0 else _identifier(value)


def _quantity(value: Any) -> int:
    if (quantity := _whole(value)) < 0:
        raise Unsendable(f"{value} is negative")
    return quantity


def _moment(value: Any) -> str | None:
    return None if value is None else utc_text(value)


def _one_of(*choices: str) -> Converter:
    def convert(value: Any) -> str:
        if value not in choices:
            raise Unsendable(f"{value!r:.40} is not one of {', '.join(choices)}")
        return str(value)

    return convert


def _object(fields: Mapping[str, Converter]) -> Converter:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Unsendable(f"{value!r:.40} is not an object")
        return body_of(value, fields)

    return convert


def _list(convert: Converter) -> Converter:
    def convert_all(value: Any) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise Unsendable(f"{value!r:.40} is not a list")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(convert(item))
            except Unsendable as error:
                raise Unsendable(f"item {index}: {error.message}") from None
        return items

    return convert_all


def _json(value: Any) -> Any:
    """Meta data: texts, numbers and structures of them. A float would come back with other digits."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, Mapping):
        return {_text(name): _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    raise Unsendable(f"{value!r:.40} cannot be kept as meta data")


def _line(value: Any) -> dict[str, Any]:
    body: dict[str, Any] = _object(_LINE)(value)
    # WooCommerce crashes on a new line of quantity 0; on one that exists it means: take it away.
    if "id" not in body and body.get("quantity", 1) < 1:
        raise Unsendable("quantity: a new line needs at least 1")
    if "id" not in body and not (body.get("product_id") or body.get("sku")):
        raise Unsendable("product_id: a new line needs a product or a sku")
    return body


def _table(**fields: Converter) -> Fields:
    return MappingProxyType(fields)


_META = _list(_object(_table(id=_identifier, key=_text, value=_json)))
_SHIPPING_ADDRESS = _table(
    first_name=_text,
    last_name=_text,
    company=_text,
    address_1=_text,
    address_2=_text,
    city=_text,
    state=_text,
    postcode=_text,
    country=_text,
    phone=_text,
)
_BILLING_ADDRESS = _table(**_SHIPPING_ADDRESS, email=_code)
_LINE = _table(
    id=_identifier,
    product_id=_identifier,
    variation_id=_identifier_or_none,
    sku=_code,
    name=_text,
    quantity=_quantity,
    subtotal=number_text,
    total=number_text,
    tax_class=_text,
    meta_data=_META,
)

PRODUCT_STATUSES = ("draft", "pending", "private", "publish", "future")
ORDER_STATUSES = ("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed")

_ARTICLE = _table(
    status=_one_of(*PRODUCT_STATUSES),
    sku=_code,
    global_unique_id=_code,
    regular_price=_price,
    sale_price=_price,
    date_on_sale_from_gmt=_moment,
    date_on_sale_to_gmt=_moment,
    description=_text,
    manage_stock=_flag,
    stock_quantity=_whole,
    stock_status=_one_of("instock", "outofstock", "onbackorder"),
    backorders=_one_of("no", "notify", "yes"),
    weight=_price,
    dimensions=_object(_table(length=_price, width=_price, height=_price)),
    tax_status=_one_of("taxable", "shipping", "none"),
    tax_class=_text,
    virtual=_flag,
    meta_data=_META,
)

PRODUCT = _table(
    **_ARTICLE,
    name=_text,
    type=_one_of("simple", "grouped", "external", "variable"),
    short_description=_text,
    catalog_visibility=_one_of("visible", "catalog", "search", "hidden"),
    date_created_gmt=_moment,
    inventory_delta=_whole,
    categories=_list(_object(_table(id=_identifier))),
    attributes=_list(
        _object(_table(id=_identifier_or_none, name=_text, options=_list(_text), variation=_flag, visible=_flag))
    ),
)
"""Fields of a product. ``inventory_delta`` changes the stock by so many, whatever it is at that moment."""

VARIATION = _table(
    **_ARTICLE,
    inventory_delta=_whole,
    attributes=_list(_object(_table(id=_identifier_or_none, name=_text, option=_text))),
)
"""Fields of a variation; its name is made of its attributes by the shop."""

CUSTOMER = _table(
    email=_code,
    first_name=_text,
    last_name=_text,
    billing=_object(_BILLING_ADDRESS),
    shipping=_object(_SHIPPING_ADDRESS),
    meta_data=_META,
)
"""Fields of a customer."""

NEW_CUSTOMER = _table(**CUSTOMER, username=_text)
"""Fields of a customer that is made; the user name can never be changed."""

ORDER = _table(
    status=_one_of(*ORDER_STATUSES),
    currency=_text,
    customer_id=_identifier_or_none,
    customer_note=_text,
    billing=_object(_BILLING_ADDRESS),
    shipping=_object(_SHIPPING_ADDRESS),
    payment_method=_text,
    payment_method_title=_text,
    transaction_id=_text,
    set_paid=_flag,
    line_items=_list(_line),
    shipping_lines=_list(_object(_table(id=_identifier, method_id=_text, method_title=_text, total=number_text))),
    fee_lines=_list(_object(_table(id=_identifier, name=_text, total=number_text, tax_class=_text, tax_status=_text))),
    coupon_lines=_list(_object(_table(code=_text))),
    meta_data=_META,
)
"""Fields of an order. A line without ``id`` is added, each time the body is sent."""

REFUND = _table(
    amount=_price,
    reason=_text,
    line_items=_list(_object(_table(id=_identifier, quantity=_quantity, refund_total=number_text))),
    meta_data=_META,
)
"""Fields of a refund. The payment itself is given back by people or by the ERP, so ``api_refund`` is always false."""
