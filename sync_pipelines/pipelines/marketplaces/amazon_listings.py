"""Amazon's listings: what changed since the last reading, and once a day all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.marketplace_port import Page, Scan, Watermark
from sync_pipelines.core.marketplaces import ItemError, Product
from sync_pipelines.pipelines.marketplaces.amazon_records import read_listing
from sync_pipelines.systems.amazon import LISTINGS_PAGED, PEER, SellingPartner, Window

OVERLAP = timedelta(minutes=5)
SCAN_EVERY = timedelta(days=1)
"""What was deleted shows in no list, and it is not sure that a new price or stock moves the time of change."""
_BEGINNING = datetime(1995, 1, 1, tzinfo=UTC)
"""Before anything was listed."""


@dataclass
class _Count:
    """What a search said: how many there are, and the skus that came."""

    declared: int | None = None
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ListingReading:
    """Reads the listings of one seller.

    A sku that is listed in several stores is one product, as the first of them has it.
    """

    seller: SellingPartner
    region: str
    stores: Sequence[str]
    clock: Callable[[], datetime]

    async def since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Yield the listings that changed, or all of them when that is due."""
        began = self.clock().replace(microsecond=0)
        state = {} if watermark is None else dict(watermark.state)
        before = watermark or Watermark({}, None)
        scanned = state.get("scanned")
        if scanned is None or datetime.fromisoformat(scanned) <= began - SCAN_EVERY:
            async for page in self._scan(began, before):
                yield page
            return
        window = Window(datetime.fromisoformat(state["since"]) - OVERLAP, began)
        for index, store in enumerate(self.stores):
            async for rows in self._searched(store, window, _Count()):
                taken = await self._listed_before(index, [_sku(row) for row in rows])
                yield self._page([row for row in rows if _sku(row) not in taken], store, before)
        yield Page((), Watermark({**state, "since": began.isoformat()}, began))

    async def _scan(self, began: datetime, before: Watermark) -> AsyncIterator[Page[Product]]:
        taken: set[str] = set()
        declared = doubled = 0
        number = began.isoformat()
        for store in self.stores:
            count = _Count()
            async for rows in self._searched(store, None, count):
                fresh = [row for row in rows if _sku(row) not in taken]
                keys = tuple(sku for sku in map(_sku, fresh) if sku)
                yield replace(self._page(fresh, store, before), scan=Scan(number, keys))
            declared += count.declared or 0
            doubled += len(taken & count.seen)
            taken |= count.seen
        last = Scan(number, (), ends=True, total=declared - doubled)
        yield Page((), Watermark({"since": number, "scanned": number}, began), scan=last)

    async def _searched(self, store: str, window: Window | None, count: _Count) -> AsyncIterator[Sequence[Any]]:
        """Yield the pages of a search, which is split by time when it finds more than can be paged through."""
        until = self.clock() if window is None else window.before
        while True:
            token, paged, latest = None, 0, None
            while True:
                page = await self.seller.listings(store, window, token)
                if count.declared is None:
                    count.declared = page.total
                count.seen.update(sku for sku in map(_sku, page.items) if sku)
                yield page.items
                paged += len(page.items)
                latest = max([*filter(None, map(_changed, page.items)), *([latest] if latest else [])], default=None)
                token = page.next_token
                if token is None:
                    break
            if page.total <= LISTINGS_PAGED:
                return
            # Unfinished listings have no time of change: if there are any, the search without a window found more than
            # the windows do, and the scan is not trusted.
            window = Window(_BEGINNING, until) if window is None else self._behind(window, latest)

    def _behind(self, window: Window, latest: datetime | None) -> Window:
        if latest is None or latest <= window.after:
            message = f"more than {LISTINGS_PAGED} listings have one time of change; they cannot be listed"
            raise PeerError(PEER, FailureKind.PERMANENT, message)
        return replace(window, after=latest)

    async def _listed_before(self, index: int, skus: Sequence[str]) -> set[str]:
        """Return those of a page's skus that an earlier store lists: it tells of them."""
        found: set[str] = set()
        # A comma would end a sku in the list of them.
        asked = [sku for sku in skus if sku and "," not in sku]
        for store in self.stores[:index] if asked else ():
            page = await self.seller.listings(store, skus=asked)
            found |= {_sku(row) for row in page.items}
        return found

    def _page(self, rows: Sequence[Any], store: str, watermark: Watermark) -> Page[Product]:
        read = [read_listing(row, store, self.region) for row in rows]
        products = tuple(one for one in read if isinstance(one, Product))
        return Page(products, watermark, tuple(one for one in read if isinstance(one, ItemError)))


def _sku(row: Any) -> str:
    found = row.get("sku") if isinstance(row, dict) else None
    return found if isinstance(found, str) else ""


def _changed(row: Any) -> datetime | None:
    try:
        times = [datetime.fromisoformat(one["lastUpdatedDate"]) for one in row["summaries"]]
    except (KeyError, TypeError, ValueError):
        return None
    return max(times, default=None)
