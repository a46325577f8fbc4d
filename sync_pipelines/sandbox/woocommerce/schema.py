"""Checks of parameters by WordPress: what a type takes, what is made of it, and how a refusal reads.

A request is checked as a whole before anything else. The items of a batch are not checked at all; they only meet the
gentle conversion of :func:`loosened`, which is how a number gets in as a price, or an unknown status as a draft.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sync_pipelines.sandbox.woocommerce.errors import invalid_parameters, missing_parameters

_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d(?::?\d\d)?)?")
_TRUE, _FALSE = ("true", "1"), ("false", "0", "")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a parameter may be.

    Attributes:
        type: JSON type in the words of WordPress; ``mixed`` takes anything.
        choices: all allowed values, none for any.
        form: ``email`` or ``date-time``.
        least, most: bounds of a number, inclusive.
        items: kind of the elements of an array.
        members: kinds of the members of an object that are checked.
    """

    type: str = "string"
    choices: tuple[str, ...] = ()
    form: str = ""
    least: int | None = None
    most: int | None = None
    items: Kind | None = None
    members: Mapping[str, Kind] = field(default_factory=dict)


Schema = Mapping[str, Kind]

TEXT = Kind()
INTEGER = Kind("integer")
NUMBER = Kind("number")
BOOLEAN = Kind("boolean")
MIXED = Kind("mixed")
EMAIL = Kind(form="email")
DATE_TIME = Kind(form="date-time")
INTEGERS = Kind("array", items=INTEGER)


def one_of(*choices: str) -> Kind:
    """Return the kind of a text with few values."""
    return Kind(choices=choices)


def objects(members: Schema) -> Kind:
    """Return the kind of a list of objects."""
    return Kind("array", items=Kind("object", members=members))


def texts(*choices: str) -> Kind:
    """Return the kind of a list of texts."""
    return Kind("array", items=Kind(choices=choices))


META = objects({"id": INTEGER, "key": TEXT, "value": MIXED})


class _Wrong(Exception):
    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.problem = (code, message, data)


def checked(schema: Schema, given: Mapping[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return parameters as the handlers get them; those without a kind pass as they are.

    Raises:
        ApiError: 400 that names every parameter that is missing or wrong.
    """
    if missing := [name for name in required if name not in given]:
        raise missing_parameters(missing)
    values, problems = dict(given), {}
    for name in schema.keys() & given.keys():
        try:
            values[name] = _checked(schema[name], given[name], name)
        except _Wrong as wrong:
            problems[name] = wrong.problem
    if problems:
        raise invalid_parameters({name: problems[name] for name in given if name in problems})
    return values


def _checked(kind: Kind, value: Any, name: str) -> Any:
    if kind.type == "mixed":
        return value
    found = _typed(kind, value, name)
    if kind.choices and found not in kind.choices:
        allowed = f"{', '.join(kind.choices[:-1])}, and {kind.choices[-1]}"
        if len(kind.choices) == 2:
            allowed = " and ".join(kind.choices)
        raise _Wrong("rest_not_in_enum", f"{name} is not one of {allowed}.")
    if kind.form == "email" and found and not is_email(found):
        raise _Wrong("rest_invalid_email", "Invalid email address.")
    if kind.form == "date-time" and parsed_date(found) is None:
        raise _Wrong("rest_invalid_date", "Invalid date.")
    if kind.least is not None and kind.most is not None and not kind.least <= found <= kind.most:
        limits = f"{kind.least} (inclusive) and {kind.most} (inclusive)"
        raise _Wrong("rest_out_of_bounds", f"{name} must be between {limits}")
    if kind.least is not None and found < kind.least:
        raise _Wrong("rest_out_of_bounds", f"{name} must be greater than or equal to {kind.least}")
    return found


def _typed(kind: Kind, value: Any, name: str) -> Any:
    if kind.type == "array":
        rows = _as_list(value)
        if rows is None:
            raise _wrong_type(name, "array")
        inner = kind.items or MIXED
        return [_checked(inner, row, f"{name}[{index}]") for index, row in enumerate(rows)]
    if kind.type == "object":
        if isinstance(value, list) or value == "":
            return {}
        if not isinstance(value, dict):
            raise _wrong_type(name, "object")
        members = {
            key: _checked(kind.members[key], value[key], f"{name}[{key}]") for key in kind.members & value.keys()
        }
        return {**value, **members}
    found = _scalar(kind.type, value)
    if found is None:
        raise _wrong_type(name, kind.type)
    return found


def _scalar(kind: str, value: Any) -> Any:
    """Return the value as a type, ``None`` when it is none of it."""
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        word = str(value).lower() if isinstance(value, str | int) else "no word"
        return True if word in _TRUE else False if word in _FALSE else None
    number = numeric(value)
    if number is None or kind == "number":
        return number
    return int(number) if number == int(number) else None


def numeric(value: Any) -> float | int | None:
    """Return what PHP takes for a number, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        try:
            value = float(value) if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", value) else None
        except OverflowError:
            return None
    return value if value is None or abs(value) < 1e18 else None


def _as_list(value: Any) -> list[Any] | None:
    """Return a list; WordPress splits a text at commas and spaces."""
    if isinstance(value, list):
        return value
    if isinstance(value, str | int | float):
        return [part for part in re.split(r"[\s,]+", str(value)) if part]
    return None


def _wrong_type(name: str, kind: str) -> _Wrong:
    return _Wrong("rest_invalid_type", f"{name} is not of type {kind}.", {"param": name})


def is_email(text: Any) -> bool:
    """Whether WordPress takes a text for an e-mail address."""
    return isinstance(text, str) and len(text) >= 6 and _EMAIL.fullmatch(text) is not None and ".." not in text


def parsed_date(text: Any) -> datetime | None:
    """Return a date as written, aware when a zone is told, or ``None`` when it is no date and time."""
    found = _DATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    zone = (found[3] or "").upper().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}")
    except ValueError:
        return None


def loosened(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a batch item as PHP makes do with them; nothing is refused."""
    return {name: _loosened(schema[name], value) if name in schema else value for name, value in given.items()}


def _loosened(kind: Kind, value: Any) -> Any:
    if kind.type == "string":
        return "" if value is None else php_text(value)
    if kind.type == "boolean":
        return str(value).lower() in ("true", "1", "yes")
    if kind.type in ("integer", "number"):
        number = numeric(value)
        return None if value is None else 0 if number is None else int(number) if kind.type == "integer" else number
    if kind.type == "array":
        return [_loosened(kind.items or MIXED, row) for row in value] if isinstance(value, list) else []
    if kind.type == "object":
        return {**value, **loosened(kind.members, value)} if isinstance(value, dict) else {}
    return value


def php_text(value: Any) -> str:
    """Return a scalar as PHP writes it into a text."""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)
