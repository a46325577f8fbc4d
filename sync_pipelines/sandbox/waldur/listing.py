"""Lists: filters, order, pages and the headers that go with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from sync_pipelines.sandbox.waldur.calls import Answer, Call
from sync_pipelines.sandbox.waldur.errors import ApiError, detail, refused
from sync_pipelines.sandbox.waldur.model import STATES, Offering, parse_uuid

_DEFAULT_PAGE = 10
_ORDERS: dict[str, Callable[[Offering], Any]] = {
    "name": lambda offering: offering.name,
    "created": lambda offering: offering.created,
    "type": lambda offering: offering.type,
    "state": lambda offering: STATES.index(offering.state),
    "total_customers": lambda offering: 0,
    "total_cost": lambda offering: 0,
    "total_cost_estimated": lambda offering: 0,
}

Row = TypeVar("Row")


def page_of(call: Call, rows: Sequence[Row], render: Callable[[Row], dict[str, Any]]) -> Answer:
    """One page of ``rows`` as a bare array with ``X-Result-Count`` and ``Link``.

    Raises:
        ApiError: 404 when the page does not exist; the first page always does.
    """
    size = min(_page_size(call.value("page_size")), call.world.largest_page)
    last = max(1, math.ceil(len(rows) / size))
    number = _page_number(call.value("page"), last)
    links = [("first", 1)]
    links += [("prev", number - 1)] if number > 1 else []
    links += [("next", number + 1)] if number < last else []
    links += [("last", last)]
    headers = {
        "Link": ", ".join(f'<{_page_url(call, target)}>; rel="{relation}"' for relation, target in links),
        "X-Result-Count": str(len(rows)),
    }
    return Answer(200, [render(row) for row in rows[(number - 1) * size : number * size]], headers)


def _page_size(text: str) -> int:
    try:
        size = int(text)
    except ValueError:
        return _DEFAULT_PAGE
    return size if size > 0 else _DEFAULT_PAGE


def _page_number(text: str, last: int) -> int:
    try:
        number = last if text == "last" else int(text or 1)
    except ValueError:
        number = 0
    if not 1 <= number <= last:
        raise detail(404, "Invalid page.")
    return number


def _page_url(call: Call, number: int) -> str:
    """The list's address with all parameters sorted by name; the first page goes without ``page``."""
    parameters: dict[str, list[str]] = {}
    for name, value in call.query:
        parameters.setdefault(name, []).append(value)
    parameters.pop("page", None)
    if number > 1:
        parameters["page"] = [str(number)]
    query = urlencode(sorted(parameters.items()), doseq=True)
    return f"{call.base}{call.path}" + (f"?{query}" if query else "")


def ordered_offerings(call: Call, offerings: Sequence[Offering]) -> list[Offering]:
    """Offerings in the order ``o`` asks for, by name unless it does. Equal rows stay in order of creation."""
    rows = sorted(offerings, key=lambda offering: offering.number)
    terms = [term for term in call.value("o").split(",") if term] or ["name"]
    for term in reversed(terms):
        key = _ORDERS.get(term.removeprefix("-"))
        if key is None:
            raise _no_choice("o", term)
        rows.sort(key=key, reverse=term.startswith("-"))
    return rows


def filtered_offerings(call: Call, offerings: Sequence[Offering]) -> list[Offering]:
    """Offerings that pass the filters the server knows. It has none for ``backend_id``; unknown names are ignored.

    Raises:
        ApiError: 400 for a value that a known filter cannot read.
    """
    rows = list(offerings)
    for name, matches in _text_filters(call).items():
        if text := call.value(name):
            rows = [row for row in rows if matches(row, text)]
    for name, accepts in _uuid_filters().items():
        if text := call.value(name):
            wanted = _uuid_value(name, text)
            rows = [row for row in rows if accepts(row, wanted)]
    for name in ("shared", "billable"):
        flag = {"true": True, "false": False}.get(call.value(name).lower())
        rows = [row for row in rows if flag is None or getattr(row, name) is flag]
    if call.value("importable").lower() == "true":
        rows = []
    if states := call.values("state"):
        for state in states:
            if state not in STATES:
                raise _no_choice("state", state)
        rows = [row for row in rows if row.state in states]
    if types := [value for value in call.values("type") if value]:
        rows = [row for row in rows if row.type in types]
    if text := call.value("attributes"):
        wanted_attributes = _attributes_value(text)
        rows = [row for row in rows if _has_attributes(row.attributes, wanted_attributes)]
    return rows


def _text_filters(call: Call) -> dict[str, Callable[[Offering, str], bool]]:
    return {
        "name": lambda row, text: text.lower() in row.name.lower(),
        "name_exact": lambda row, text: row.name == text,
        "description": lambda row, text: text.lower() in row.description.lower(),
        "keyword": lambda row, text: any(
            text.lower() in field.lower() for field in (row.name, row.description, row.customer.name)
        ),
        "customer": lambda row, text: urlsplit(text).path == f"/api/customers/{row.customer.uuid}/",
    }


def _uuid_filters() -> dict[str, Callable[[Offering, str], bool]]:
    return {
        "customer_uuid": lambda row, wanted: row.customer.uuid == wanted,
        "category_uuid": lambda row, wanted: row.category.uuid == wanted,
        "allowed_customer_uuid": lambda row, wanted: row.shared or row.customer.uuid == wanted,
        "project_uuid": lambda row, wanted: row.shared,
        "scope_uuid": lambda row, wanted: False,
        "parent_uuid": lambda row, wanted: False,
        "category_group_uuid": lambda row, wanted: False,
        "service_manager_uuid": lambda row, wanted: False,
        "organization_group_uuid": lambda row, wanted: False,
    }


def uuid_filter(call: Call, name: str) -> str | None:
    """The value of a uuid filter, ``None`` when it was not sent."""
    text = call.value(name)
    return _uuid_value(name, text) if text else None


def _uuid_value(name: str, text: str) -> str:
    value = parse_uuid(text)
    if value is None:
        raise ApiError(400, {name: ["Enter a valid UUID."]})
    return value


def _no_choice(name: str, value: str) -> ApiError:
    return ApiError(400, {name: [f"Select a valid choice. {value} is not one of the available choices."]})


def _attributes_value(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise refused("Filter attribute is not valid json.") from None
    if not isinstance(value, dict):
        raise refused("Filter attribute should be an dict.")
    return value


def _has_attributes(attributes: dict[str, Any], wanted: dict[str, Any]) -> bool:
    for key, value in wanted.items():
        if isinstance(value, list):
            # A list means "any of these": PostgreSQL's ?| on the stored value, which also looks into a plain string.
            stored = attributes.get(key)
            candidates = [stored] if isinstance(stored, str) else stored
            if not isinstance(candidates, list | dict) or not any(item in candidates for item in value):
                return False
        elif key not in attributes or not _contains(attributes[key], value):
            return False
    return True


def _contains(stored: Any, wanted: Any) -> bool:
    """PostgreSQL's ``@>``: objects and arrays may hold more than what is wanted."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(
            key in stored and _contains(stored[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(stored, list) and all(any(_contains(item, value) for item in stored) for value in wanted)
    return isinstance(stored, bool) is isinstance(wanted, bool) and bool(stored == wanted)
