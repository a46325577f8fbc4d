"""Times of a shop: kept as Unix seconds, told as wall time of its zone and as GMT, both without a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sync_pipelines.sandbox.woocommerce.schema import parsed_date

_DAY_SECONDS = 24 * 3600
_LENGTH = len("2026-11-22T02:07:56")


def gmt(seconds: int | None) -> str | None:
    """Return the GMT of a moment as sent."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()[:_LENGTH]


def local(seconds: int | None, zone: ZoneInfo) -> str | None:
    """Return the wall time of a moment as sent."""
    return None if seconds is None else datetime.fromtimestamp(seconds, zone).isoformat()[:_LENGTH]


def both(name: str, seconds: int | None, zone: ZoneInfo) -> dict[str, str | None]:
    """Return the two members that tell one moment."""
    return {name: local(seconds, zone), f"{name}_gmt": gmt(seconds)}


def given_moment(values: dict[str, Any], name: str, zone: ZoneInfo) -> int | None:
    """Return the moment that a request sets by ``name`` or its ``_gmt`` form; a date that is none is ignored."""
    for key, assumed in ((name, zone), (f"{name}_gmt", UTC)):
        moment = parsed_date(values.get(key))
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=assumed)
            return int(aware.timestamp())
    return None


def bound_of(text: str, zone: ZoneInfo) -> datetime:
    """Return the wall time, without a zone, that a bound of a window is compared with.

    A bound with a zone is turned into wall time of the shop, whatever it is compared with. Together with
    ``dates_are_gmt`` it is off by the shop's distance to GMT then (recorded).
    """
    moment = parsed_date(text)
    if moment is None:
        raise ValueError(f"no date: {text}")
    return (moment.astimezone(zone) if moment.tzinfo else moment).replace(tzinfo=None)


def compared_with(seconds: int, bound: datetime, zone: ZoneInfo | None) -> int:
    """Return -1, 0 or 1 as the wall time of a moment is before, at or after a bound; without a zone its GMT is."""
    distance = seconds - int(bound.replace(tzinfo=UTC).timestamp())
    if zone is not None and abs(distance) < _DAY_SECONDS:
        wall = datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)
        return (wall > bound) - (wall < bound)
    return (distance > 0) - (distance < 0)
