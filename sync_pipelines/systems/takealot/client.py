"""What can be asked of one seller account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sync_pipelines.core.errors import PeerError
from sync_pipelines.systems.takealot.errors import unexpected_shape
from sync_pipelines.systems.takealot.models import SAST, Offer, Sale, Signal, Unreadable
from sync_pipelines.systems.takealot.parsing import id_or_none, read_offer, read_return, read_sale, read_transaction
from sync_pipelines.systems.takealot.session import Listing, TakealotSession
from sync_pipelines.systems.transport import Transport

SALES_LIMIT = 100
OFFERS_LIMIT = 1000
_STOCK = (("expands", "seller_warehouse_stock"), ("expands", "takealot_warehouse_stock"))


@dataclass(frozen=True, slots=True)
class Sales:
    """Sales as they were read.

    Attributes:
        sales: the readable ones.
        unreadable: the others.
    """

    sales: tuple[Sale, ...]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class OfferPage:
    """A part of all offers, by rising ids.

    Attributes:
        count: how many there are from here on, this page included, when it was asked for.
        last_id: the greatest on this page; ``None`` when it is empty.
        ends: whether there are no more.
    """

    offers: tuple[Offer, ...]
    unreadable: tuple[Unreadable, ...]
    count: int | None
    last_id: int | None
    ends: bool


class TakealotClient:
    """Reads one seller account. Each method raises ``PeerError``, classified by ``errors.py``.

    Arguments:
        transport: as made by ``takealot_transport``; closed by whoever made it.
    """

    def __init__(self, transport: Transport) -> None:
        self._session = TakealotSession(transport)

    async def sales(self, first: date, last: date, *, most: int | None = None) -> Sales | None:
        """Return the sales of orders of some days of South African time, both included.

        Arguments:
            most: of more sales than these nothing is returned: ask for fewer days.
        """
        days = [("order_date__gte", first.isoformat()), ("order_date__lte", last.isoformat())]
        rows = await self._session.whole("sales", [*days, ("limit", str(SALES_LIMIT))], _sale_key, most=most)
        return None if rows is None else _sales(rows)

    async def sales_of(self, order_id: int) -> Sales:
        """Return the sales of one order, whatever its age."""
        params = [("order_id", str(order_id)), ("limit", str(SALES_LIMIT))]
        return _sales(await self._session.whole("sales", params, _sale_key) or [])

    async def offers(self, after: int | None = None) -> OfferPage:
        """Return the offers with the lowest ids above one; they are counted when there is none.

        By ids, not by tokens: so a reading can be gone on with at any time, and no offer that goes away meanwhile
        moves another one over the edge of a page.
        """
        params = [("limit", str(OFFERS_LIMIT)), *_STOCK]
        params += [("include_count", "true")] if after is None else [("offer_id__gt", str(after))]
        listing = await self._session.page("offers", params)
        read = [read_offer(row) for row in listing.rows]
        return OfferPage(
            offers=tuple(one for one in read if isinstance(one, Offer)),
            unreadable=tuple(one for one in read if isinstance(one, Unreadable)),
            count=listing.count,
            last_id=_last_id(listing, after),
            ends=listing.token is None,
        )

    async def returns(self, first: date, last: date) -> list[Signal]:
        """Return what the returns of some days signal, both included. Comments of customers are not kept."""
        days = [("return_date__gte", first.isoformat()), ("return_date__lte", last.isoformat())]
        params = [*days, ("limit", "100"), ("expands", "outcomes")]
        rows = await self._session.whole("returns", params, lambda row: _identity(row, "seller_return_id"))
        return [signal for signal in map(read_return, rows or ()) if signal is not None]

    async def reversals(self, first: datetime, last: datetime) -> list[Signal]:
        """Return what payments that were taken back signal. At most 180 days, and nothing of the future."""
        window = [("created_at__gte", _time(first)), ("created_at__lte", _time(last))]
        params = [*window, ("limit", "100"), ("transaction_type__in", "reversal-customer-order")]
        rows = await self._session.whole("transactions", params, lambda row: _identity(row, "transaction_id"))
        return [signal for signal in map(read_transaction, rows or ()) if signal is not None]

    async def check(self, today: date) -> list[str]:
        """Return what is wrong with this connection, in an operator's words; empty when nothing is."""
        day = today.isoformat()
        asked = {
            "sales": [("order_date__gte", day), ("order_date__lte", day), ("limit", "1")],
            "offers": [("limit", "1")],
        }
        problems = []
        for path, params in asked.items():
            try:
                await self._session.page(path, params)
            except PeerError as error:
                problems.append(f"{path}: {error}")
        return problems


def _sales(rows: list[Any]) -> Sales:
    read = [read_sale(row) for row in rows]
    return Sales(
        tuple(one for one in read if isinstance(one, Sale)),
        tuple(one for one in read if isinstance(one, Unreadable)),
    )


def _sale_key(row: Any) -> object:
    return _identity(row, "order_item_id")


def _identity(row: Any, name: str) -> object:
    key = id_or_none(row, name)
    return repr(row) if key is None else key


def _last_id(listing: Listing, after: int | None) -> int | None:
    ids = [found for row in listing.rows if (found := id_or_none(row, "offer_id")) is not None]
    last = max(ids, default=None)
    if listing.token is not None and (last is None or (after is not None and last <= after)):
        raise unexpected_shape("GET offers", "the list does not go on by offer_id")
    return last


def _time(moment: datetime) -> str:
    return moment.astimezone(SAST).isoformat(timespec="seconds")
