"""Reads Takealot's records. A field that is needed and cannot be read makes the record :class:`Unreadable`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.systems.takealot.models import Offer, Sale, Signal, Unreadable


class _Bad(ValueError):
    """A field cannot be read."""


def read_sale(row: Any) -> Sale | Unreadable:
    """Return a sale of ``/sales``."""
    try:
        fields = _object(row)
        return Sale(
            order_item_id=_id(fields, "order_item_id"),
            order_id=_id(fields, "order_id"),
            ordered_at=_needed_time(fields, "order_date"),
            status=_needed_text(fields, "sale_status"),
            offer_id=_id(fields, "offer_id") if fields.get("offer_id") is not None else None,
            sku=_text(fields, "sku"),
            selling_price=_needed_amount(fields, "selling_price"),
            quantity=_id(fields, "quantity"),
            raw=fields,
        )
    except _Bad as problem:
        return Unreadable(id_or_none(row, "order_item_id"), id_or_none(row, "order_id"), str(problem), row)


def read_offer(row: Any) -> Offer | Unreadable:
    """Return an offer of ``/offers``."""
    try:
        fields = _object(row)
        return Offer(
            offer_id=_id(fields, "offer_id"),
            sku=_text(fields, "sku"),
            title=_text(fields, "title"),
            status=_needed_text(fields, "status"),
            selling_price=_amount(fields, "selling_price"),
            updated_at=_time(fields, "updated_at"),
            stock=_stock(fields),
            raw=fields,
        )
    except _Bad as problem:
        return Unreadable(id_or_none(row, "offer_id"), None, str(problem), row)


def read_return(row: Any) -> Signal | None:
    """Return what a return of ``/returns`` signals; ``None`` when it names no order.

    It has no ``order_item_id``, so that the whole order has to be looked at.
    """
    order = id_or_none(row, "order_id")
    if order is None:
        return None
    outcomes = row.get("outcomes")
    states = [str(one.get("status")) for one in outcomes if isinstance(one, dict)] if isinstance(outcomes, list) else []
    return Signal(f"return {row.get('seller_return_id')} {' '.join(states)}".rstrip(), (order,))


def read_transaction(row: Any) -> Signal | None:
    """Return what a transaction of ``/transactions`` signals; ``None`` when it names no order.

    ``references`` is an object in the description and a list in one client of it: both are read.
    """
    found = row.get("references") if isinstance(row, dict) else None
    references = found if isinstance(found, list) else [found]
    orders = [order for order in (id_or_none(one, "order_id") for one in references) if order is not None]
    return Signal(f"transaction {row.get('transaction_id')}", tuple(orders)) if orders else None


def id_or_none(row: Any, name: str) -> int | None:
    """Return a number of a row that may be of any shape."""
    try:
        return _id(_object(row), name)
    except _Bad:
        return None


def _object(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise _Bad("an object was expected")
    return row


def _id(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _Bad(f"{name} is no whole number")


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise _Bad(f"{name} is no text")
    return value or None


def _needed_text(fields: Mapping[str, Any], name: str) -> str:
    value = _text(fields, name)
    if value is None:
        raise _Bad(f"{name} is missing")
    return value


def _amount(fields: Mapping[str, Any], name: str) -> Decimal | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Bad(f"{name} is no number")
    return Decimal(value)


def _needed_amount(fields: Mapping[str, Any], name: str) -> Decimal:
    value = _amount(fields, name)
    if value is None:
        raise _Bad(f"{name} is missing")
    return value


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    value = _text(fields, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _Bad(f"{name} is no time") from None
    if moment.tzinfo is None:
        raise _Bad(f"{name} has no offset")
    return moment


def _needed_time(fields: Mapping[str, Any], name: str) -> datetime:
    value = _time(fields, name)
    if value is None:
        raise _Bad(f"{name} is missing")
    return value


def _stock(fields: Mapping[str, Any]) -> Decimal | None:
    places = [fields[name] for name in ("seller_warehouse_stock", "takealot_warehouse_stock") if name in fields]
    if not places:
        return None
    if not all(isinstance(one, list) for one in places):
        raise _Bad("the stock is no list")
    return Decimal(sum(_id(_object(row), "quantity_available") for rows in places for row in rows))
