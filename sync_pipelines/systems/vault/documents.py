"""JSON as Vault keeps it: a document that is read and written again says what it said before.

A version 1 mount keeps the spelling of numbers (``1.0``, ``9007199254740993``, ``1e5``), so other writers may rely on
it. A version 2 mount of OpenBao 2.7 makes 64-bit floats of them when they are written first: ``1.0`` comes back as
``1``, and integers beyond 2^53 are rounded. Numbers with a fraction or an exponent are read as ``Decimal``, never as
float.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

import orjson

_LONGEST_INTEGER = 4000
"""Digits. Python refuses to read integers of more than 4300."""
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


class SpeltNumber(Decimal):
    """A number whose spelling ``str`` would not give back, such as ``1e5``."""

    spelling: str

    def __new__(cls, text: str) -> SpeltNumber:
        number = super().__new__(cls, text)
        number.spelling = text
        return number


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(body, parse_float=_fraction, parse_int=_integer, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: Any, *, sort_keys: bool = False) -> bytes:
    """Return the JSON text of a value made of what :func:`read_json` returns, with floats allowed.

    Raises:
        ValueError: the value has no JSON form.
    """
    option = orjson.OPT_SORT_KEYS if sort_keys else None
    try:
        return orjson.dumps(value, _number, option)
    except TypeError:
        # Integers beyond 64 bits never reach the hook for unknown types.
        try:
            return orjson.dumps(_spelt(value), _number, option)
        except (TypeError, RecursionError) as error:
            raise ValueError(f"no JSON: {error}") from None


def as_read(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document that was written in the form in which it is read."""
    found: dict[str, Any] = read_json(write_json(document))
    return found


def same_json(left: Any, right: Any) -> bool:
    """Whether two values would be one after both were stored.

    Unlike with ``==``, ``true`` is not ``1``. Numbers are compared as 64-bit floats: a version 2 mount keeps no more of
    them, and a difference that cannot be stored would be written again and again.
    """
    if _is_number(left) and _is_number(right):
        return bool(_as_float(left) == _as_float(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(same_json(*pair) for pair in zip(left, right, strict=True))
    return type(left) is type(right) and bool(left == right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _as_float(value: Any) -> Any:
    try:
        return float(value)
    except OverflowError:
        return value


def _fraction(text: str) -> Decimal:
    number = Decimal(text)
    return number if str(number) == text else SpeltNumber(text)


def _integer(text: str) -> int | Decimal:
    return SpeltNumber(text) if len(text) > _LONGEST_INTEGER or text == "-0" else int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, SpeltNumber):
        return orjson.Fragment(value.spelling)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is no JSON")


def _spelt(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int():
            return value if _SMALLEST <= value <= _LARGEST else orjson.Fragment(str(value))
        case dict():
            return {key: _spelt(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_spelt(inner) for inner in value]
        case _:
            return value
