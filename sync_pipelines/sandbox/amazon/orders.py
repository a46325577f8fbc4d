"""Orders API 2026-01-01: searchOrders and getOrder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipelines.sandbox.amazon.answers import invalid, refused
from sync_pipelines.sandbox.amazon.queries import Query
from sync_pipelines.sandbox.amazon.world import AmazonWorld, Record, region_of, seconds_of, written

TOKEN_LIFE = 24 * 3600.0
TWO_YEARS = 730 * 86_400.0
_STATUSES = frozenset(
    {"PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE"}
)
_OF_ORDER: Mapping[str, str] = {
    "buyer": "BUYER",
    "recipient": "RECIPIENT",
    "proceeds": "PROCEEDS",
    "expense": "EXPENSE",
    "promotion": "PROMOTION",
    "cancellation": "CANCELLATION",
    "fulfillment": "FULFILLMENT",
    "packages": "PACKAGES",
    "tax": "TAX",
    "payment": "PAYMENT",
    "fulfillmentOrders": "FULFILLMENT_ORDERS",
}
"""Fields of orders and items -> the data set that they come with."""
_DATA = frozenset(_OF_ORDER.values())
_FREE = frozenset({"paginationToken", "maxResultsPerPage", "includedData"})
_SEARCH = frozenset(
    {"createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore", "fulfillmentStatuses"}
    | {"marketplaceIds", "fulfilledBy"}
    | _FREE
)


@dataclass(frozen=True, slots=True)
class _Token:
    """A page that was told of: what it belongs to, and behind which order it begins."""

    region: str
    bound: Mapping[str, Sequence[str]]
    behind: tuple[str, str]
    before: float
    told_at: float


def search_orders(world: AmazonWorld, region: str, text: str) -> Record:
    """Answer searchOrders."""
    query, now = Query(text, _SEARCH), world.now()
    created, updated = "createdAfter" in query, "lastUpdatedAfter" in query
    if created == updated:
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter must be provided")
    which, other = ("created", "lastUpdated") if created else ("lastUpdated", "created")
    if f"{other}Before" in query:
        raise invalid(f"{other}Before must not be provided with {which}After")
    first, last = query.settled_pair(f"{which}After", f"{which}Before", now)
    size = min(query.whole("maxResultsPerPage", 100, 100), world.page)
    data = query.many("includedData", _DATA)
    behind = ("", "")
    token = query.text("paginationToken")
    if token is not None:
        begun = _begun(world, token, region, query, now)
        behind, last = begun.behind, begun.before
    matching = _matching(world, region, query)
    rows = sorted(
        ((order[f"{which}Time"], order["orderId"], order) for order in world.orders.values() if matching(order)),
        key=lambda row: row[:2],
    )
    oldest = now - TWO_YEARS if region != "fe" else 0.0
    found = [
        row
        for row in rows
        if first <= seconds_of(row[0]) <= last and row[:2] > behind and seconds_of(row[2]["createdTime"]) >= oldest
    ]
    answer: Record = {"orders": [_shown(order, data) for _, _, order in found[:size]]}
    if len(found) > size:
        number = f"next-{world.number()}"
        world.pages[number] = _Token(region, query.fixed(_FREE), found[size - 1][:2], last, now)
        answer["pagination"] = {"nextToken": number}
    answer[f"{which}Before"] = written(last)
    return answer


def get_order(world: AmazonWorld, region: str, order_id: str, text: str) -> Record:
    """Answer getOrder."""
    query = Query(text, {"includedData"})
    data = query.many("includedData", _DATA)
    world.now()
    order = world.orders.get(order_id)
    if order is None or region_of(order["salesChannel"]["marketplaceId"]) != region:
        raise refused(404, "NotFound", f"Order {order_id} not found")
    return {"order": _shown(order, data)}


def _begun(world: AmazonWorld, token: str, region: str, query: Query, now: float) -> _Token:
    found = world.pages.get(token)
    if not isinstance(found, _Token) or found.region != region:
        raise invalid("paginationToken is invalid")
    if now - found.told_at > TOKEN_LIFE:
        raise invalid("paginationToken has expired")
    if found.bound != query.fixed(_FREE):
        raise invalid("The parameters must be those of the request that returned the paginationToken")
    return found


def _matching(world: AmazonWorld, region: str, query: Query) -> Callable[[Record], bool]:
    stores = query.many("marketplaceIds", most=50)
    statuses = query.many("fulfillmentStatuses", _STATUSES)
    by = query.many("fulfilledBy", {"MERCHANT", "AMAZON"})

    def matches(order: Record) -> bool:
        store = order["salesChannel"]["marketplaceId"]
        fulfillment = order["fulfillment"]
        return (
            region_of(store) == region
            and (not stores or store in stores)
            and (not statuses or fulfillment["fulfillmentStatus"] in statuses)
            and (not by or fulfillment["fulfilledBy"] in by)
        )

    return matches


def _shown(record: Any, data: Sequence[str]) -> Any:
    """Return an order with the data sets that were asked for only."""
    shown = {
        name: value for name, value in record.items() if _OF_ORDER.get(name, name) in data or name not in _OF_ORDER
    }
    if "orderItems" in shown:
        shown["orderItems"] = [_shown(item, data) for item in shown["orderItems"]]
    return shown
