"""Listings Items API 2021-08-01 and Finances API 2024-06-19."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.amazon.answers import invalid, refused
from sync_pipelines.sandbox.amazon.queries import TWO_MINUTES, Query
from sync_pipelines.sandbox.amazon.world import SELLER_ID, AmazonWorld, Record, region_of, seconds_of

MOST_PAGED = 1000
LATE = 48 * 3600.0
"""How long Finances keeps quiet about a new order."""
LONGEST = 180 * 86_400.0
_LISTING_DATA = frozenset(
    {"summaries", "attributes", "issues", "offers", "fulfillmentAvailability", "procurement"}
    | {"relationships", "productTypes"}
)
_LISTINGS = frozenset(
    {"marketplaceIds", "includedData", "pageSize", "pageToken", "sortBy", "sortOrder", "identifiers"}
    | {"identifiersType", "lastUpdatedAfter", "lastUpdatedBefore", "createdAfter", "createdBefore"}
)
_FINANCES = frozenset(
    {"postedAfter", "postedBefore", "marketplaceId", "transactionStatus", "nextToken"}
    | {"relatedIdentifierName", "relatedIdentifierValue"}
)
_TRANSACTIONS_OF_A_PAGE = 100


def search_listings(world: AmazonWorld, region: str, seller: str, text: str) -> Record:
    """Answer searchListingsItems."""
    query = Query(text, _LISTINGS)
    world.now()
    if seller != SELLER_ID:
        raise refused(404, "NotFound", "The seller was not found")
    stores = query.many("marketplaceIds", most=1)
    if not stores:
        raise invalid("marketplaceIds is required")
    skus = query.many("identifiers", most=20)
    if skus and query.text("identifiersType") != "SKU":
        raise invalid("identifiersType is required with identifiers")
    if query.text("sortBy") not in (None, "lastUpdatedDate", "sku", "createdDate"):
        raise invalid("sortBy is not valid")
    if region_of(stores[0]) != region:
        raise invalid(f"{stores[0]} is not a marketplace of this region")
    data = query.many("includedData", _LISTING_DATA) or ["summaries"]
    found = [
        row
        for row in world.listings.values()
        if _store(row) == stores[0] and (not skus or row["sku"] in skus) and _changed_within(row, query)
    ]
    found.sort(key=lambda row: (_changed(row) or 0.0, row["sku"]), reverse=query.text("sortOrder") != "ASC")
    size = query.whole("pageSize", 10, 20)
    begin = _begin(world, query, "pageToken")
    rows = found[: min(len(found), MOST_PAGED)][begin : begin + size]
    answer: Record = {
        "numberOfResults": len(found),
        "items": [{name: value for name, value in row.items() if name == "sku" or name in data} for row in rows],
    }
    if begin + size < min(len(found), MOST_PAGED):
        answer["pagination"] = {"nextToken": _told(world, query, "pageToken", begin + size)}
    return answer


def list_transactions(world: AmazonWorld, region: str, text: str) -> Record:
    """Answer listTransactions."""
    query, now = Query(text, _FINANCES), world.now()
    first, last = query.settled_pair("postedAfter", "postedBefore", now)
    if first > now - TWO_MINUTES:
        raise invalid("postedAfter must be more than two minutes before the time of the request")
    name, value = query.text("relatedIdentifierName"), query.text("relatedIdentifierValue")
    if (name is None) != (value is None):
        raise invalid("relatedIdentifierName and relatedIdentifierValue go together")
    found = [
        row
        for row in world.transactions
        if last - first <= LONGEST
        and first <= seconds_of(row["postedDate"]) < last
        and not _is_of_young_order(world, row, now)
        and region_of(row["marketplaceDetails"]["marketplaceId"]) == region
        and (value is None or _relates(row, str(name), value))
    ]
    begin = _begin(world, query, "nextToken")
    payload: Record = {"transactions": found[begin : begin + _TRANSACTIONS_OF_A_PAGE]}
    if begin + _TRANSACTIONS_OF_A_PAGE < len(found):
        payload["nextToken"] = _told(world, query, "nextToken", begin + _TRANSACTIONS_OF_A_PAGE)
    return {"payload": payload}


def _is_of_young_order(world: AmazonWorld, row: Record, now: float) -> bool:
    orders = (world.orders.get(one["relatedIdentifierValue"]) for one in row["relatedIdentifiers"])
    return any(order is not None and seconds_of(order["createdTime"]) > now - LATE for order in orders)


def _relates(row: Record, name: str, value: str) -> bool:
    return {"relatedIdentifierName": name, "relatedIdentifierValue": value} in row["relatedIdentifiers"]


def _begin(world: AmazonWorld, query: Query, name: str) -> int:
    token = query.text(name)
    if token is None:
        return 0
    found: Any = world.pages.get(token)
    if not isinstance(found, tuple) or found[0] != query.fixed({name}):
        raise invalid(f"{name} is invalid")
    begin: int = found[1]
    return begin


def _told(world: AmazonWorld, query: Query, name: str, begin: int) -> str:
    token = f"next-{world.number()}"
    world.pages[token] = (query.fixed({name}), begin)
    return token


def _store(row: Record) -> str:
    found: str = row["productTypes"][0]["marketplaceId"]
    return found


def _changed(row: Record) -> float | None:
    return seconds_of(row["summaries"][0]["lastUpdatedDate"]) if row["summaries"] else None


def _changed_within(row: Record, query: Query) -> bool:
    first, last = query.time("lastUpdatedAfter"), query.time("lastUpdatedBefore")
    if first is None and last is None:
        return True
    changed = _changed(row)
    return changed is not None and (first is None or first <= changed) and (last is None or changed <= last)
