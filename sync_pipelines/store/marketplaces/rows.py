"""Orders and products as the rows that are copied into the database."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.canonical import canonical_bytes
from sync_pipelines.core.marketplaces import Order, OrderItem, Product
from sync_pipelines.store.storable import storable_text

LONGEST_KEY = 500
"""Characters of each part of a natural key: all of them together have to fit into an entry of an index."""

Row = tuple[Any, ...]
_EMPTY = "{}"
_MOST_DIGITS = 100


def order_row(order: Order) -> Row:
    """Return the row of an order."""
    return (
        order.order_key,
        order.display_number,
        order.status.value,
        json_text(order.raw_status),
        order.status_unmapped,
        order.currency,
        _amount(order.total),
        _amount(order.canceled_total),
        _amount(order.refunded_total),
        _amount(order.items_total),
        _time(order.ordered_at),
        order.is_test,
        len(order.items),
        json_text(order.extra) if order.extra else _EMPTY,
        _time(order.updated_at),
        json_text(order.raw),
    )


def item_row(order: Order, item: OrderItem) -> Row:
    """Return the row of an order's line."""
    return (
        order.order_key,
        item.item_key,
        item.sku,
        item.product_key,
        item.variant_key,
        item.title,
        _amount(item.quantity),
        item.status.value,
        item.currency,
        _amount(item.unit_price),
        _amount(item.discount),
        _amount(item.line_total),
        json_text(item.extra) if item.extra else _EMPTY,
    )


def product_row(product: Product) -> Row:
    """Return the row of a product's variant."""
    return (
        product.product_key,
        product.variant_key,
        product.sku,
        product.title,
        product.status.value,
        None if product.raw_status is None else json_text(product.raw_status),
        product.currency,
        _amount(product.price),
        _amount(product.stock),
        json_text(product.extra) if product.extra else _EMPTY,
        _time(product.updated_at),
        json_text(product.raw),
    )


def why_not_storable(*keys: str) -> str | None:
    """Say why a record with such keys cannot be stored; ``None`` when it can."""
    for key in keys:
        if len(key) > LONGEST_KEY:
            return f"a key has {len(key)} characters, {LONGEST_KEY} are the most"
        if (not key.isascii() or "\0" in key) and storable_text(key) != key:
            return "a key holds a character that the database cannot"
    return None


def json_text(value: Any) -> str:
    """Return a JSON document that ``jsonb`` can hold: without NUL and halves of surrogate pairs."""
    document = canonical_bytes(value)
    if b"\\u0000" in document or b"\xed" in document:
        document = canonical_bytes(_storable(value))
    return document.decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _amount(number: Decimal | None) -> Decimal | None:
    if number is not None and not (number.is_finite() and -_MOST_DIGITS <= number.adjusted() <= _MOST_DIGITS):
        raise ValueError("an amount is not a number, or one of more than a hundred digits")
    return number


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
