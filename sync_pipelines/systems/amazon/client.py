"""The operations that are used: orders, one order, transactions, listings. Records are handed on as they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.systems.amazon.errors import unexpected_shape
from sync_pipelines.systems.amazon.session import (
    GET_ORDER,
    LISTINGS,
    PEER,
    SEARCH_ORDERS,
    TRANSACTIONS,
    AmazonSession,
)
from sync_pipelines.systems.transport import segment

PAGE = 100
LISTINGS_PAGE = 20
LISTINGS_PAGED = 1000
"""Listings that one search gives at most, however many it counts."""
TRANSACTION_DAYS = 180

_ORDERS = "/orders/2026-01-01/orders"
_FINANCES = "/finances/2024-06-19/transactions"
_LISTINGS = "/listings/2021-08-01/items"
# Without them an answer has neither status nor money. BUYER and RECIPIENT are never asked for.
_ORDER_DATA = "FULFILLMENT,PROCEEDS,CANCELLATION,PROMOTION,PACKAGES"
_LISTING_DATA = "summaries,offers,fulfillmentAvailability,productTypes"

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Orders or listings changed (or created) from ``after`` to ``before``, both included. Aware, whole seconds."""

    after: datetime
    before: datetime
    created: bool = False


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders of a page.

    Attributes:
        next_token: of the next page; good for 24 hours, and only with the parameters of this one.
        before: end of the window as Amazon has it, when it says so.
    """

    orders: Sequence[Any]
    next_token: str | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Transactions of a page, which may be none although there are further pages."""

    transactions: Sequence[Any]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Listings of a page.

    Attributes:
        total: how many the search found, of which :data:`LISTINGS_PAGED` can be paged through.
    """

    items: Sequence[Any]
    total: int
    next_token: str | None


class SellingPartner:
    """One seller in one region.

    Arguments:
        marketplaces: ids of the stores whose orders are asked for; all of the region's by one call.
    """

    def __init__(self, session: AmazonSession, seller_id: str, marketplaces: Sequence[str]) -> None:
        self._session = session
        self._seller = segment(seller_id)
        self._marketplaces = ",".join(marketplaces)

    async def search_orders(self, window: Window, token: str | None = None) -> OrderPage:
        """Return a page of a window; with a token the one after the page that told the token."""
        which = "created" if window.created else "lastUpdated"
        params = [
            (f"{which}After", iso(window.after)),
            (f"{which}Before", iso(window.before)),
            ("marketplaceIds", self._marketplaces),
            ("maxResultsPerPage", str(PAGE)),
            ("includedData", _ORDER_DATA),
        ]
        if token is not None:
            params.append(("paginationToken", token))
        answer = await self._session.get(SEARCH_ORDERS, _ORDERS, params)
        before = answer.get(f"{which}Before")
        return OrderPage(
            _rows(SEARCH_ORDERS, answer, "orders"),
            _token(answer.get("pagination")),
            parsed(before) if isinstance(before, str) else None,
        )

    async def order(self, order_id: str) -> Record:
        """Return an order. Raises ``PeerError`` of kind ``GONE`` when Amazon does not tell of it any more."""
        answer = await self._session.get(GET_ORDER, f"{_ORDERS}/{segment(order_id)}", [("includedData", _ORDER_DATA)])
        order = answer.get("order")
        if not isinstance(order, dict):
            raise unexpected_shape(PEER, GET_ORDER, "no order")
        return order

    async def transactions(
        self, after: datetime, before: datetime, token: str | None = None, *, order_id: str | None = None
    ) -> TransactionPage:
        """Return transactions posted from ``after`` on and before ``before``.

        Both have to be more than two minutes ago, and at most :data:`TRANSACTION_DAYS` apart: of a longer time Amazon
        tells nothing at all, without an error.
        """
        params = [("postedAfter", iso(after)), ("postedBefore", iso(before))]
        if order_id is not None:
            params += [("relatedIdentifierName", "ORDER_ID"), ("relatedIdentifierValue", order_id)]
        if token is not None:
            params.append(("nextToken", token))
        answer = await self._session.get(TRANSACTIONS, _FINANCES, params)
        # The published description wraps the answer, its samples do not.
        wrapped = answer.get("payload")
        payload = wrapped if isinstance(wrapped, dict) else answer
        return TransactionPage(_rows(TRANSACTIONS, payload, "transactions"), payload.get("nextToken") or None)

    async def listings(
        self,
        marketplace: str,
        window: Window | None = None,
        token: str | None = None,
        *,
        skus: Sequence[str] = (),
        most: int = LISTINGS_PAGE,
    ) -> ListingPage:
        """Return a page of the seller's listings in one store, the one changed longest ago first.

        Arguments:
            window: time of change; without it also listings that have none yet.
            skus: only these, 20 at most.
        """
        params = [
            ("marketplaceIds", marketplace),
            ("includedData", _LISTING_DATA),
            ("pageSize", str(most)),
            ("sortBy", "lastUpdatedDate"),
            ("sortOrder", "ASC"),
        ]
        if window is not None:
            params += [("lastUpdatedAfter", iso(window.after)), ("lastUpdatedBefore", iso(window.before))]
        if skus:
            params += [("identifiersType", "SKU"), ("identifiers", ",".join(skus))]
        if token is not None:
            params.append(("pageToken", token))
        answer = await self._session.get(LISTINGS, f"{_LISTINGS}/{self._seller}", params)
        total = answer.get("numberOfResults")
        if not isinstance(total, int):
            raise unexpected_shape(PEER, LISTINGS, "no numberOfResults: completeness cannot be proven")
        return ListingPage(_rows(LISTINGS, answer, "items"), total, _token(answer.get("pagination")))


def iso(moment: datetime) -> str:
    """Return a time as Amazon writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def parsed(value: str) -> datetime:
    """Return a time that Amazon wrote. Raises ``ValueError`` for anything else, one without an offset included."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no offset")
    return moment.astimezone(UTC)


def _rows(operation: str, answer: Record, name: str) -> Sequence[Any]:
    rows = answer.get(name)
    if not isinstance(rows, list):
        raise unexpected_shape(PEER, operation, f"no list of {name}")
    return rows


def _token(pagination: Any) -> str | None:
    return pagination.get("nextToken") or None if isinstance(pagination, dict) else None
