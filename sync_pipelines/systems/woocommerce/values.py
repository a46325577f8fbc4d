"""Reading single values of WooCommerce's JSON.

Lenient where shops differ: a field may be missing, null, or ``""``, a number may come as text and a text as a number.
Only a value that could mean anything is an error, because guessing on would compare and write nonsense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

_T = TypeVar("_T")

Row = dict[str, Any]


class BadValue(ValueError):
    """A value cannot be read.

    Attributes:
        path: where it stands below the record, e.g. ``line_items[0].total``.
        problem: what is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def object_of(value: Any) -> Row:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BadValue("", f"an object was expected, not {type(value).__name__}")
    return value


def identifier(row: Row, name: str = "id") -> int:
    """Return a positive id."""
    value = row.get(name)
    if type(value) is not int or value <= 0:
        raise BadValue(name, f"{value!r:.40} is not an id")
    return value


def reference(row: Row, name: str) -> int:
    """Return the id of something else, 0 for none. Plugins send ids as text."""
    value = row.get(name)
    if type(value) is int:
        return value
    if value is None or value == "" or value is False:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    raise BadValue(name, f"{value!r:.40} is not an id")


def text(row: Row, name: str) -> str:
    """Return a text, empty for null."""
    value = row.get(name)
    if type(value) is str:
        return value
    if value is None or value is False:
        return ""
    if isinstance(value, int | Decimal) and value is not True:
        return str(value)
    raise BadValue(name, f"{value!r:.40} is not a text")


def flag(row: Row, name: str) -> bool:
    """Return a boolean, false for null."""
    value = row.get(name)
    if type(value) is bool:
        return value
    if value is None or value in ("", 0, "0", "no", "false"):
        return False
    if value in (1, "1", "yes", "true"):
        return True
    raise BadValue(name, f"{value!r:.40} is neither true nor false")


def number(row: Row, name: str) -> Decimal | None:
    """Return a number, ``None`` for null and ``""``."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadValue(name, f"{value!r:.40} is not a number")
    try:
        result = Decimal(value)
    except ArithmeticError:
        raise BadValue(name, f"{value!r:.40} is not a number") from None
    # A price of "NaN" or "1e999" is kept by the shop, and would poison every sum.
    if not result.is_finite() or result.adjusted() > 20:
        raise BadValue(name, f"{value!r:.40} is not a number")
    return result


def amount(row: Row, name: str) -> Decimal:
    """Return a number, 0 for null and ``""``."""
    value = number(row, name)
    return Decimal(0) if value is None else value


def moment(row: Row, name: str) -> datetime | None:
    """Return a time of a ``*_gmt`` field: it comes as UTC without a zone; ``None`` for null."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadValue(name, f"{value!r:.40} is not a time")
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise BadValue(name, f"{value!r:.40} is not a time") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def each(row: Row, name: str, parse: Callable[[Any], _T]) -> tuple[_T, ...]:
    """Return the parsed items of a list, empty for null. PHP writes an empty list as an empty text at times."""
    value = row.get(name)
    if not value:
        return ()
    if not isinstance(value, list):
        raise BadValue(name, f"a list was expected, not {type(value).__name__}")
    items = []
    for index, item in enumerate(value):
        try:
            items.append(parse(item))
        except BadValue as error:
            raise BadValue(f"{name}[{index}]" + (f".{error.path}" if error.path else ""), error.problem) from None
    return tuple(items)


def within(row: Row, name: str, parse: Callable[[Row], _T]) -> _T:
    """Return a parsed object. PHP writes an empty object as ``[]``."""
    value = row.get(name)
    try:
        return parse(object_of(value) if value else {})
    except BadValue as error:
        raise BadValue(f"{name}.{error.path}" if error.path else name, error.problem) from None


def meta(row: Row) -> Mapping[str, Any]:
    """Return ``meta_data`` as a mapping; keys may repeat, the last one counts."""
    value = row.get("meta_data")
    if not isinstance(value, list) or not value:
        return {}
    return {str(item["key"]): item.get("value") for item in value if _has_key(item)}


def _has_key(item: Any) -> bool:
    return isinstance(item, dict) and "key" in item
