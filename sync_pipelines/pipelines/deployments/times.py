"""Times as instance records hold them: RFC 3339 text, or seconds since 1970 where another writer was at work."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_LAST_SECOND = 253402300799
"""The end of the year 9999."""


def stamp(moment: datetime) -> str:
    """Return an aware time as RFC 3339 text in UTC, whole seconds: ``2026-11-20T22:00:04Z``."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def moment_of(value: object) -> datetime | None:
    """Return the time that a value means: RFC 3339 text or seconds since 1970; ``None`` when it means none."""
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # Not-a-number is in no range.
    return datetime.fromtimestamp(int(value), UTC) if 0 <= value <= _LAST_SECOND else None


def is_rfc_3339(value: object) -> bool:
    """Say whether a value is a time as this pipeline writes it, with or without fractions of a second."""
    return isinstance(value, str) and _parsed(value) is not None


def _parsed(text: str) -> datetime | None:
    parts = _RFC_3339.fullmatch(text)
    if parts is None:
        return None
    whole, fraction, zone = parts.groups()
    try:
        # Vault writes nine digits, Python reads six.
        moment = datetime.fromisoformat(whole.upper() + (fraction or "")[:7] + zone.upper())
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
