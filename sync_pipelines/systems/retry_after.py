"""How long a peer asks to wait: the Retry-After header as seconds or as an HTTP date."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait, never negative; ``None`` when the header is absent or unreadable.

    A date is measured against the answer's own ``Date`` header, so that a wrong clock on either side does no harm.
    Fractions are accepted: Shopify sends ``Retry-After: 2.0``.

    Arguments:
        headers: response headers, looked up without regard to case by the mapping.
        now: aware time used when the answer carries no ``Date``.
    """
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = _http_date(value)
        if until is None:
            return None
        seconds = (until - (_http_date(headers.get("Date", "")) or now)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
