"""The lists: which parameters they take, what they select, in which order, and how they are paged."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sync_pipelines.sandbox.takealot.errors import bad_request
from sync_pipelines.sandbox.takealot.world import SAST, Row, TakealotWorld

Query = Mapping[str, Sequence[str]]

_COMMON = frozenset({"limit", "continuation_token", "fields", "expands", "include_count"})
_MANY = frozenset({"fields", "expands"})
_LONGEST_WINDOW = timedelta(days=180)
_USUAL_WINDOW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list.

    Attributes:
        default, most: rows on a page.
        filters: parameters beside those that all lists have; names that end in ``__in`` may come several times.
        select: the rows that match, in order.
        expands: columns that are answered on demand only.
    """

    default: int
    most: int
    filters: frozenset[str]
    select: Callable[[TakealotWorld, Query], list[Row]]
    expands: frozenset[str] = field(default=frozenset())


def answer(world: TakealotWorld, name: str, query: Query) -> dict[str, Any]:
    """Return a page of a list.

    Raises:
        Refused: an unknown parameter or a value that is not allowed.
    """
    if "continuation_token" in query:
        # All other parameters are ignored then, senseless ones too.
        asked, offset = _continued(name, query["continuation_token"])
        return _page(world, name, asked, offset, counted=False)
    _check(LISTS[name], query)
    return _page(world, name, query, 0, counted=_one(query, "include_count") == "true")


def shown(row: Row, query: Query, of: ListOf) -> Row:
    """Return a record with the columns that were asked for."""
    wanted = set(query.get("expands", ()))
    told = {name: value for name, value in row.items() if name not in of.expands or name in wanted}
    fields = query.get("fields")
    return told if fields is None else {name: told[name] for name in fields if name in told}


def _page(world: TakealotWorld, name: str, query: Query, offset: int, *, counted: bool) -> dict[str, Any]:
    of = LISTS[name]
    limit = int(_one(query, "limit") or of.default)
    # No snapshot is kept: rows that come and go meanwhile move the others.
    rows = of.select(world, query)
    page: dict[str, Any] = {"items": [shown(row, query, of) for row in rows[offset : offset + limit]], "limit": limit}
    if counted:
        page["count"] = len(rows)
    if offset + limit < len(rows):
        page["continuation_token"] = _token(name, query, offset + limit)
    return page


def _check(of: ListOf, query: Query) -> None:
    unknown = sorted(set(query) - _COMMON - of.filters)
    if unknown:
        raise bad_request(f"unknown parameter {unknown[0]}")
    for name, values in query.items():
        if len(values) > 1 and name not in _MANY and not name.endswith("__in"):
            raise bad_request(f"{name} is given several times")
    limit = _one(query, "limit")
    if limit is not None and not (limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= of.most):
        raise bad_request(f"limit must be between 1 and {of.most}")
    if _one(query, "include_count") not in (None, "true", "false"):
        raise bad_request("include_count must be true or false")
    for name in query.get("expands", ()):
        if name not in of.expands:
            raise bad_request(f"cannot expand {name}")


def _token(name: str, query: Query, offset: int) -> str:
    text = json.dumps([name, {key: list(values) for key, values in query.items()}, offset])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _continued(name: str, tokens: Sequence[str]) -> tuple[Query, int]:
    try:
        of, query, offset = json.loads(base64.urlsafe_b64decode(tokens[0]))
    except (ValueError, binascii.Error):
        of, query, offset = None, {}, 0
    if of != name:
        raise bad_request("the continuation token is not valid")
    return query, offset


def _one(query: Query, name: str) -> str | None:
    values = query.get(name)
    return values[0] if values else None


def _number(query: Query, name: str) -> int | None:
    value = _one(query, name)
    if value is not None and not (value.isascii() and value.isdecimal()):
        raise bad_request(f"{name} must be a number")
    return None if value is None else int(value)


def _day(query: Query, name: str) -> date | None:
    value = _one(query, name)
    if value is None:
        return None
    try:
        if len(value) != len("2026-01-31"):
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError:
        raise bad_request(f"{name} must be a date, YYYY-MM-DD") from None


def _time(query: Query, name: str) -> datetime | None:
    value = _one(query, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise bad_request(f"{name} must be a date-time") from None
    if moment.tzinfo is None:
        raise bad_request(f"{name} must have an offset")
    return moment


def _sales(world: TakealotWorld, query: Query) -> list[Row]:
    first, last = _day(query, "order_date__gte"), _day(query, "order_date__lte")
    if (first is None) != (last is None):
        raise bad_request("order_date__gte and order_date__lte are given together")
    order, region = _number(query, "order_id"), _one(query, "stock_source_region")

    def matches(row: Row) -> bool:
        day = datetime.fromisoformat(row["order_date"]).astimezone(SAST).date()
        return (
            (first is None or last is None or first <= day <= last)
            and order in (None, row["order_id"])
            and region in (None, row["stock_source_region"])
        )

    # The order is not stated: one that makes sense to nobody, so that nobody relies on it.
    return sorted(filter(matches, world.sales.values()), key=lambda row: zlib.crc32(str(row["order_item_id"]).encode()))


def _offers(world: TakealotWorld, query: Query) -> list[Row]:
    above, below = _number(query, "offer_id__gt"), _number(query, "offer_id__lt")
    one = _number(query, "offer_id")
    some = {int(value) for value in query["offer_id__in"]} if "offer_id__in" in query else None

    def matches(row: Row) -> bool:
        key = row["offer_id"]
        return (
            (above is None or key > above)
            and (below is None or key < below)
            and one in (None, key)
            and (some is None or key in some)
            and all(_one(query, name) in (None, row[name]) for name in ("status", "sku", "barcode"))
        )

    return sorted(filter(matches, world.offers.values()), key=lambda row: row["offer_id"])


def _returns(world: TakealotWorld, query: Query) -> list[Row]:
    first, last, order = _day(query, "return_date__gte"), _day(query, "return_date__lte"), _number(query, "order_id")

    def matches(row: Row) -> bool:
        day = date.fromisoformat(row["return_date"])
        return (
            (first is None or first <= day)
            and (last is None or day <= last)
            and order in (None, row["order_id"])
            and _one(query, "sku") in (None, row["sku"])
        )

    found = sorted(world.returns.values(), key=lambda row: (row["return_date"], row["seller_return_id"]), reverse=True)
    return [row for row in found if matches(row)]


def _transactions(world: TakealotWorld, query: Query) -> list[Row]:
    last = _time(query, "created_at__lte") or world.now()
    first = _time(query, "created_at__gte") or last - _USUAL_WINDOW
    if max(first, last) > world.now():
        raise bad_request("created_at must not lie in the future")
    if last - first > _LONGEST_WINDOW:
        raise bad_request("created_at may span 180 days")
    types = query.get("transaction_type__in")

    def matches(row: Row) -> bool:
        created = datetime.fromisoformat(row["created_at"])
        return first <= created <= last and (types is None or row["transaction_type"] in types)

    found = sorted(world.transactions.values(), key=lambda row: row["transaction_id"], reverse=True)
    return [row for row in found if matches(row)]


LISTS: Mapping[str, ListOf] = {
    "sales": ListOf(
        20, 100, frozenset({"order_id", "order_date__gte", "order_date__lte", "stock_source_region"}), _sales
    ),
    "offers": ListOf(
        100,
        1000,
        frozenset({"offer_id", "offer_id__in", "offer_id__gt", "offer_id__lt", "status", "sku", "barcode"}),
        _offers,
        frozenset({"seller_warehouse_stock", "takealot_warehouse_stock"}),
    ),
    "returns": ListOf(
        10,
        100,
        frozenset({"return_date__gte", "return_date__lte", "order_id", "sku"}),
        _returns,
        frozenset({"outcomes", "transactions"}),
    ),
    "transactions": ListOf(
        20, 100, frozenset({"created_at__gte", "created_at__lte", "transaction_type__in"}), _transactions
    ),
}
