"""Typed values from Waldur's JSON.

Answers are read leniently: the set of keys varies with the version, the state of relations, and the rights of the
token. Only a wrong *kind* of value is an error, because guessing on would compare and write nonsense.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sync_pipelines.systems.waldur.models import WaldurComponent, WaldurOffering, WaldurPlan, quantized, uuid_hex

_T = TypeVar("_T")


def parse_offering(row: Any) -> WaldurOffering:
    """Return an offering from its JSON object, full or limited by ``field=``.

    Arguments:
        row: JSON read with ``Decimal`` for numbers with a fraction.

    Raises:
        ValueError: not an object, no uuid, or a field of the wrong kind.
    """
    row = _object(row, "offering")
    return WaldurOffering(
        uuid=uuid_hex(_text(row, "uuid")),
        name=_text(row, "name"),
        description=_text(row, "description"),
        state=_text(row, "state"),
        type=_text(row, "type"),
        backend_id=_text(row, "backend_id"),
        category_uuid=_optional_uuid(row, "category_uuid"),
        customer_uuid=_optional_uuid(row, "customer_uuid"),
        created=_time(row, "created"),
        shared=_typed(row, "shared", bool),
        attributes=_typed(row, "attributes", dict) or {},
        components=tuple(parse_component(item) for item in _typed(row, "components", list) or ()),
        plans=tuple(parse_plan(item) for item in _typed(row, "plans", list) or ()),
        present=frozenset(row),
    )


def parse_component(row: Any) -> WaldurComponent:
    """Return a component from its JSON object. Raises ``ValueError`` as :func:`parse_offering` does."""
    row = _object(row, "component")
    return WaldurComponent(
        uuid=uuid_hex(_text(row, "uuid")),
        type=_text(row, "type"),
        name=_text(row, "name"),
        description=_text(row, "description"),
        measured_unit=_text(row, "measured_unit"),
        billing_type=_text(row, "billing_type"),
        limit_period=_typed(row, "limit_period", str),
        limit_amount=_typed(row, "limit_amount", int),
        article_code=_text(row, "article_code"),
    )


def parse_plan(row: Any) -> WaldurPlan:
    """Return a plan from its JSON object. Raises ``ValueError`` as :func:`parse_offering` does."""
    row = _object(row, "plan")
    prices = _typed(row, "prices", dict) or {}
    future = _typed(row, "future_prices", dict) or {}
    return WaldurPlan(
        uuid=uuid_hex(_text(row, "uuid")),
        name=_text(row, "name"),
        description=_text(row, "description"),
        unit=_text(row, "unit"),
        unit_price=_price(row.get("unit_price") or 0),
        archived=bool(_typed(row, "archived", bool)),
        backend_id=_text(row, "backend_id"),
        prices={kind: _price(price) for kind, price in prices.items()},
        future_prices={kind: None if price is None else _price(price) for kind, price in future.items()},
        resources_count=_typed(row, "resources_count", int) or 0,
    )


def _object(row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{what}: an object was expected, not {type(row).__name__}")
    return row


def _typed(row: dict[str, Any], name: str, kind: type[_T]) -> _T | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}: {value!r:.60} is not of the expected kind")
    return value


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if type(value) is str else _typed(row, name, str) or ""


def _optional_uuid(row: dict[str, Any], name: str) -> str:
    text = _text(row, name)
    return uuid_hex(text) if text else ""


def _time(row: dict[str, Any], name: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{name}: {text} has no time zone")
    return moment


def _price(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"price {value!r:.60} is not a number")
    try:
        price = quantized(Decimal(value))
    except ArithmeticError:
        raise ValueError(f"price {value!r:.60} is not a number") from None
    if not price.is_finite():
        raise ValueError(f"price {value!r:.60} is not a number")
    return price
