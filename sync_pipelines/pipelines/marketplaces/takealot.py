"""Takealot as a marketplace, by its Marketplace API v1.

It has no "changed since" of any kind. Sales are read again by days (``takealot_ladder.py``); returns and payments that
were taken back tell of older orders to look at. Of offers every run reads all: a price can change while ``updated_at``
stands still, so only a comparison with what is stored shows it, and what is gone shows in the same reading.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from sync_pipelines.core.marketplace_port import CallLimit, Page, Scan, Watermark
from sync_pipelines.core.marketplaces import Order, Product
from sync_pipelines.pipelines.connection_fields import HttpUrl, Limits, Whole
from sync_pipelines.pipelines.marketplaces.marketplace import Access, Marketplace, Opening
from sync_pipelines.pipelines.marketplaces.takealot_ladder import Progress, sast_day
from sync_pipelines.pipelines.marketplaces.takealot_records import SellingPrice, orders_of, product_of, unreadable
from sync_pipelines.settings import SecretReference
from sync_pipelines.systems.takealot.client import Sales, TakealotClient
from sync_pipelines.systems.takealot.session import URL, takealot_transport

WEEK = 7
"""Days of sales that are read as one list: an account with few sales costs few calls."""
MOST_SALES = 5000
"""More sales than these are read in fewer days at once, which bounds the memory."""
OVERLAP = timedelta(days=1)
"""How long returns and reversals are looked at again."""
LONGEST_LOOK = timedelta(days=170)
"""Transactions can be asked for over 180 days."""
CLOCKS = timedelta(minutes=2)
"""What two clocks may differ by: a time that is in Takealot's future is refused."""
PATIENCE = 4
"""Clients of Takealot wait 2 s and longer after an error, four times what is usual here."""


class TakealotAccess(Access):
    """A seller account.

    Attributes:
        api_key: of the seller portal. It has no scopes: whoever has it can change prices.
        url: the API with its version.
        selling_price: whether the price of a sale is that of the line or of one unit.
        history_days: how far the first reading goes back.
        timeout_seconds: how long each step of a request may take.
        limits: none are documented; below one call a second by default.
    """

    api_key: SecretReference
    url: HttpUrl = URL
    selling_price: SellingPrice = SellingPrice.LINE
    history_days: Whole = Field(default=180, ge=1, le=3660)
    timeout_seconds: float = Field(default=60, gt=0)
    limits: Limits = Limits(requests_per_second=0.9, burst=5)

    @property
    def server(self) -> str:
        """The API's host: whether it counts by key or by caller is not known."""
        return urlsplit(self.url).netloc


class TakealotAdapter:
    """Reads an account's sales and offers. Fills in ``core.marketplace_port.Adapter``.

    Arguments:
        history_days: how far the first reading goes back.
    """

    def __init__(
        self, client: TakealotClient, clock: Callable[[], datetime], rule: SellingPrice, history_days: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._rule = rule
        self._history_days = history_days

    async def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Yield the orders of the last days, of older ones when due, and those that returns and reversals tell of."""
        now = self._clock()
        progress = Progress.of({} if watermark is None else watermark.state)
        before = None if watermark is None else watermark.through
        first, last = progress.recent(now)
        seen: set[str] = set()
        async for _, page in self._days(first, last, Watermark(progress.state, before)):
            seen.update(order.order_key for order in page.records)
            yield page
        progress = progress.recent_read(now)
        yield Page((), _watermark(progress, now))
        window = progress.due(now, first, self._history_days)
        while window is not None:
            async for day, page in self._days(window.first, window.last, Watermark({}, None)):
                progress = progress.older_read(window, day)
                yield replace(page, watermark=_watermark(progress, now))
            # A window that an earlier run had begun may have left others due.
            window = progress.due(now, first, self._history_days)
        # Last, because the days do not depend on them.
        async for page in self._signaled(progress, now, seen):
            yield page

    async def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Yield the orders of the South African days that a window touches."""
        days = sast_day(first), sast_day(last - timedelta(microseconds=1))
        async for _, page in self._days(*days, Watermark({}, None)):
            yield page

    async def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Yield all offers, by their ids; a reading that a run left open is gone on with."""
        state = {} if watermark is None else dict(watermark.state)
        through = None if watermark is None else watermark.through
        if "scan" not in state:
            state = {"scan": self._clock().isoformat()}
        while True:
            read = await self._client.offers(state.get("after"))
            if "after" not in state:
                state["total"] = read.count
            keys = [one.offer_id for one in read.offers] + [one.key for one in read.unreadable if one.key is not None]
            scan = Scan(state["scan"], tuple(map(str, keys)), ends=read.ends, total=state["total"])
            state = {**state, "after": read.last_id}
            mark = Watermark({}, datetime.fromisoformat(state["scan"])) if read.ends else Watermark(state, through)
            yield Page(tuple(map(product_of, read.offers)), mark, unreadable(read.unreadable), scan=scan)
            if read.ends:
                return

    async def check(self) -> list[str]:
        """Return what is wrong with the connection."""
        return await self._client.check(sast_day(self._clock()))

    async def _days(self, first: date, last: date, watermark: Watermark) -> AsyncIterator[tuple[date, Page[Order]]]:
        """Yield the orders of some days from new to old, each page with the day back to which all is read."""
        while last >= first:
            start = max(first, last - timedelta(days=WEEK - 1))
            sales = await self._client.sales(start, last, most=MOST_SALES if start < last else None)
            while sales is None:
                start += (last - start) // 2 + timedelta(days=1)
                sales = await self._client.sales(start, last, most=MOST_SALES if start < last else None)
            yield start, self._page(sales, watermark)
            last = start - timedelta(days=1)

    async def _signaled(self, progress: Progress, now: datetime, read: set[str]) -> AsyncIterator[Page[Order]]:
        """Yield the orders that returns and reversals tell of anew, and then the progress."""
        until = now - CLOCKS
        since = max((progress.signaled or now) - OVERLAP, now - LONGEST_LOOK)
        signals = await self._client.returns(sast_day(since), sast_day(now))
        signals += await self._client.reversals(min(since, until), until)
        known = set(progress.seen)
        orders = {order for one in signals if one.mark not in known for order in one.order_ids}
        for order in sorted(orders):
            if str(order) not in read:
                yield self._page(await self._client.sales_of(order), _watermark(progress, now))
        marks = tuple(sorted({one.mark for one in signals}))
        yield Page((), _watermark(replace(progress, signaled=now, seen=marks), now))

    def _page(self, sales: Sales, watermark: Watermark) -> Page[Order]:
        orders, errors = orders_of(sales, self._rule)
        return Page(orders, watermark, errors)


def _watermark(progress: Progress, now: datetime) -> Watermark:
    """Return the progress of a run that began at ``now`` and has read the last days."""
    return Watermark(progress.state, now if progress.is_complete else None)


def _calls(access: TakealotAccess) -> Mapping[str, CallLimit]:
    return {"api": CallLimit(access.limits.requests_per_second, access.limits.burst)}


@asynccontextmanager
async def _open(access: TakealotAccess, opening: Opening) -> AsyncIterator[TakealotAdapter]:
    async with takealot_transport(
        access.url,
        access.api_key.reveal(),
        throttle=opening.throttle("api"),
        timeout=httpx.Timeout(access.timeout_seconds, connect=5.0),
        read_delay=PATIENCE * opening.read_delay,
    ) as transport:
        yield TakealotAdapter(TakealotClient(transport), opening.clock, access.selling_price, access.history_days)


TAKEALOT = Marketplace("takealot", "Takealot", TakealotAccess, _calls, _open)
