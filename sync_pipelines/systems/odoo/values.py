"""Values as Odoo writes them, in both directions.

Empty is ``false`` for every type. Moments are naive UTC in whole seconds. Amounts are floats, whose shortest decimal
form is the one that was meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, TypeVar

_FORMAT = "%Y-%m-%d %H:%M:%S"
_WIDE = Context(prec=60)
_T = TypeVar("_T")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """A many2one value: the id of the record it leads to, and what Odoo calls it in the context's language."""

    id: int
    name: str


def encoded(body: Any) -> bytes:
    """Return the JSON of a request.

    Odoo takes NaN for a price and answers what is no JSON ever after; neither that nor half a surrogate pair is sent.

    Raises:
        ValueError: a number is not finite or would be rounded on the wire, text has no UTF-8 form, or a moment has no
            zone.
        TypeError: a value of another kind.
    """
    return json.dumps(body, default=_wire, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def wire_time(moment: datetime) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS`` in UTC: with ``T`` or ``Z`` a value is refused by a 500. Fractions are cut."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).strftime(_FORMAT)


def parse_time(text: str) -> datetime:
    """Return an aware moment. Raises ``ValueError``."""
    # Not strptime: two moments a row cost as much as all its other fields. Older versions add a fraction.
    if len(text) < 19 or text[10] not in " T":
        raise ValueError(f"{text!r:.40} is not a date and time")
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def money(amount: Decimal, digits: int) -> Decimal:
    """Return an amount with a currency's decimal places; half a unit goes away from zero.

    Odoo rounds no price: 12.344999 and 0.30000000000000004 are stored and answered as they are.
    """
    return amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _WIDE)


def record_id(row: Any) -> int:
    """Return the id of a row. Raises ``ValueError`` when it is no row or has none."""
    value = row.get("id") if isinstance(row, dict) else None
    if type(value) is not int or value <= 0:
        raise ValueError("id: not a positive integer")
    return value


def text(row: Row, name: str) -> str:
    """Return a text; empty for ``false`` or when it was not asked for."""
    return _typed(row, name, str) or ""


def flag(row: Row, name: str, default: bool = False) -> bool:
    """Return a boolean."""
    value = row.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {type(value).__name__} is not a boolean")
    return value


def number(row: Row, name: str) -> Decimal | None:
    """Return a number, ``None`` for ``false`` or when it was not asked for. NaN and infinity are refused."""
    value = row.get(name)
    if value is None or value is False:
        return None
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{name}: {type(value).__name__} is not a number")
    result = Decimal(value)
    if not result.is_finite():
        raise ValueError(f"{name}: {result} is not a finite number; mend it in Odoo")
    return result


def amount(row: Row, name: str) -> Decimal:
    """Return a number, 0 when it is empty."""
    return number(row, name) or Decimal(0)


def integer(row: Row, name: str) -> int:
    """Return an integer, 0 when it is empty."""
    return _typed(row, name, int) or 0


def moment(row: Row, name: str) -> datetime | None:
    """Return an aware moment, ``None`` when it is empty."""
    value = _typed(row, name, str)
    if not value:
        return None
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError(f"{name}: {value!r:.40} is not a date and time") from None


def reference(row: Row, name: str) -> Reference | None:
    """Return a many2one, ``None`` when it is empty."""
    value = row.get(name)
    if value is None or value is False:
        return None
    match value:
        case [int(target), str(label)] if target > 0:
            return Reference(target, label)
        case [int(target), False | None] if target > 0:
            # The target's name is hidden from this user, or empty.
            return Reference(target, "")
    raise ValueError(f"{name}: not a pair of id and name")


def references(row: Row, name: str) -> tuple[int, ...]:
    """Return the ids of an x2many."""
    values = _typed(row, name, list) or []
    if not all(type(value) is int and value > 0 for value in values):
        raise ValueError(f"{name}: not a list of ids")
    return tuple(values)


def _typed(row: Row, name: str, kind: type[_T]) -> _T | None:
    value = row.get(name)
    if value is None or value is False:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name}: {type(value).__name__} is not the expected kind")
    return value


def _wire(value: Any) -> Any:
    if isinstance(value, Decimal):
        as_float = float(value)
        if not value.is_finite() or Decimal(repr(as_float)) != value:
            raise ValueError(f"{value:.40} cannot be sent: Odoo keeps floats")
        return as_float
    if isinstance(value, datetime):
        return wire_time(value)
    raise TypeError(f"{type(value).__name__} cannot be sent to Odoo")
