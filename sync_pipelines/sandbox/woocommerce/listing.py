"""Lists: the parameters all of them take, pages, and the headers that go with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sync_pipelines.sandbox.woocommerce.calls import CONTEXT, Answer, Call, encoded, joined, trimmed
from sync_pipelines.sandbox.woocommerce.links import address
from sync_pipelines.sandbox.woocommerce.model import Record
from sync_pipelines.sandbox.woocommerce.schema import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    INTEGERS,
    TEXT,
    Kind,
    Schema,
    checked,
    one_of,
)
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import bound_of, compared_with

_PAGING: Schema = {
    "context": CONTEXT,
    "page": Kind("integer", least=1),
    "per_page": Kind("integer", least=1, most=100),
    "offset": INTEGER,
}
COMMON: Schema = {
    **_PAGING,
    "search": TEXT,
    "include": INTEGERS,
    "exclude": INTEGERS,
    "order": one_of("asc", "desc"),
}
WINDOWS: Schema = {
    **dict.fromkeys(("after", "before", "modified_after", "modified_before"), DATE_TIME),
    "dates_are_gmt": BOOLEAN,
}
_NOT_OF_THE_CONTENT = ("page", "per_page", "offset", "_fields", "context")

Found = TypeVar("Found", bound=Record)


def asked(call: Call, schema: Schema) -> dict[str, Any]:
    """Return the checked parameters of a list; unknown ones pass and change nothing.

    Raises:
        ApiError: 400 for a value that a known parameter cannot have.
    """
    return checked(schema, call.query)


def listed(
    call: Call,
    told: Mapping[str, Any],
    find: Callable[[], Sequence[Found]],
    view: Callable[[ShopState, Found, str], Mapping[str, Any]],
) -> Answer:
    """Return one page of records.

    Arguments:
        told: checked parameters.
        find: gives all records of the list in order; asked again only after a change of the shop.
        view: how one record is told.
    """
    key = (call.path, encoded({name: value for name, value in told.items() if name not in _NOT_OF_THE_CONTENT}))
    found: Sequence[Found] = call.world.listing(key, find)
    texts = (text_of(call, record, view, in_list=True) for record in page_of(told, found))
    return Answer(joined(texts), headers=page_headers(call, told, len(found)))


def text_of(
    call: Call, record: Found, view: Callable[[ShopState, Found, str], Mapping[str, Any]], *, in_list: bool
) -> str:
    """Return a record as JSON, made anew only after it changed."""
    key = (view.__name__, call.context, call.fields, in_list, call.world.site_url)
    text = record.texts.get(key)
    if text is None:
        text = encoded(trimmed(view(call.world, record, call.context), call.fields, in_list=in_list))
        record.texts[key] = text
    return text


def page_of(told: Mapping[str, Any], found: Sequence[Found]) -> Sequence[Found]:
    """Return the records of the page asked for."""
    size = told.get("per_page", 10)
    start = told.get("offset", (told.get("page", 1) - 1) * size)
    return found[start : start + size]


def page_headers(
    call: Call, told: Mapping[str, Any], total: int, extra: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return the totals, and the links to the pages beside this one.

    Arguments:
        extra: parameters that the shop adds to the links by itself.
    """
    size, page = told.get("per_page", 10), told.get("page", 1)
    pages = math.ceil(total / size)
    beside = [("prev", min(page - 1, pages))] if page > 1 else []
    beside += [("next", page + 1)] if page < pages else []
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}
    if beside:
        shown = {
            name: told.get(name, value) if isinstance(told.get(name), list) else value
            for name, value in call.query.items()
        }
        links = [(relation, {**shown, "page": number, **(extra or {})}) for relation, number in beside]
        base = address(call.world, call.path)
        headers["Link"] = ", ".join(
            f'<{base}?{_query(parameters)}>; rel="{relation}"' for relation, parameters in links
        )
    return headers


def _query(parameters: Mapping[str, Any]) -> str:
    parts = []
    for name, value in parameters.items():
        if isinstance(value, list):
            parts += [
                f"{quote(f'{name}[{index}]', safe='')}={quote(str(item), safe='')}" for index, item in enumerate(value)
            ]
        else:
            parts.append(f"{quote(name, safe='')}={quote(str(value), safe='')}")
    return "&".join(parts)


def within(world: ShopState, told: Mapping[str, Any], records: Iterable[Found]) -> Iterable[Found]:
    """Return the records within the windows asked for; bounds are exclusive and of whole seconds."""
    zone = None if told.get("dates_are_gmt", False) else world.zone
    for name, side in (("after", 1), ("before", -1), ("modified_after", 1), ("modified_before", -1)):
        if name in told:
            bound, is_changed = bound_of(told[name], world.zone), name.startswith("modified")
            records = [it for it in records if _side(it.modified if is_changed else it.created, bound, zone) == side]
    return records


def _side(seconds: int | None, bound: datetime, zone: ZoneInfo | None) -> int:
    return 0 if seconds is None else compared_with(seconds, bound, zone)


def chosen(told: Mapping[str, Any], records: Mapping[int, Found]) -> list[Found]:
    """Return the records among ``include`` without ``exclude``; the former wins when both are told (recorded)."""
    if told.get("include"):
        return [records[number] for number in dict.fromkeys(told["include"]) if number in records]
    left_out = set(told.get("exclude", ()))
    return [record for record in records.values() if record.id not in left_out]


def ordered(records: Iterable[Found], key: Callable[[Found], Any], told: Mapping[str, Any], usual: str) -> list[Found]:
    """Return the records in the order asked for; those that are equal stand by number, in the same direction."""
    is_falling = told.get("order", usual) == "desc"
    return sorted(records, key=lambda record: (key(record), record.id), reverse=is_falling)
