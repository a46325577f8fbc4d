"""Date-times of Odoo: naive UTC, kept with microseconds as text that sorts, told in whole seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.sandbox.odoo.errors import value_error

_FORMAT = "%Y-%m-%d %H:%M:%S"
_ISO = re.compile(r"\d{4}-\d\d-\d\d")


def stored(seconds: float) -> str:
    """Return Unix seconds as they are kept."""
    return datetime.fromtimestamp(seconds, UTC).strftime(f"{_FORMAT}.%f")


def shown(value: str | None) -> str | bool:
    """Return a kept date-time as it is answered."""
    return value[:19] if value else False


def written(value: Any) -> str | None:
    """Return a date-time in the values of a record as it is kept.

    Raises:
        OdooError: any other form than ``YYYY-MM-DD HH:MM:SS`` or a bare day; ``T`` and ``Z`` are refused too.
    """
    if value is None or value is False:
        return None
    try:
        whole = datetime.strptime(str(value), "%Y-%m-%d" if len(str(value)) == 10 else _FORMAT)
    except ValueError as problem:
        raise value_error(str(problem)) from problem
    return whole.strftime(f"{_FORMAT}.%f")


def asked(value: Any) -> str:
    """Return a date-time in a domain as whole seconds: a fraction is cut, a bare day means midnight.

    Raises:
        OdooError: it has a zone, or is no date-time.
    """
    if not isinstance(value, str):
        raise value_error(f"Failed to cast {value!r} into a datetime")
    if not _ISO.match(value):
        raise value_error(f"Invalid term {value!r} in expression date: {value!r}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as problem:
        raise value_error(str(problem)) from problem
    if moment.tzinfo is not None:
        raise value_error(f"expecting only datetimes with no timezone: {value!r}")
    return moment.strftime(_FORMAT)
