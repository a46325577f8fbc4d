"""Durations as Go writes them: ``1h30m``, ``1.5h``, ``500ms``, ``0``."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

_MICROSECONDS: dict[str, Decimal] = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII)
_LONGEST = 40
_RANGE = timedelta(days=106751)
"""What Go's 64 bits of nanoseconds hold, in whole days."""


def parse_duration(text: str) -> timedelta:
    """Return a duration, to the microsecond.

    Raises:
        ValueError: it is not of Go's form (a number without its unit is not, except ``0``), or is out of range.
    """
    if text in ("0", "+0", "-0"):
        return timedelta()
    whole = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
    if whole is None:
        raise ValueError("must be a duration with units, such as 30m, 1h30m or 500ms")
    parts = _PART.findall(whole[2])
    microseconds = sum((Decimal(number) * _MICROSECONDS[unit] for number, unit in parts), Decimal(0))
    if microseconds > _RANGE / timedelta(microseconds=1):
        raise ValueError("is out of range; the longest duration is 2562047h")
    return timedelta(microseconds=int(microseconds) * (-1 if whole[1] == "-" else 1))
