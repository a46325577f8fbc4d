"""Amazon's orders by their time of change, in windows that survive the end of a budget."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.marketplace_port import Page, Watermark
from sync_pipelines.core.marketplaces import ItemError, Order
from sync_pipelines.pipelines.marketplaces.amazon_records import read_order
from sync_pipelines.pipelines.marketplaces.amazon_refunds import RefundLedger
from sync_pipelines.systems.amazon import SellingPartner, Window

SETTLED = timedelta(minutes=2, seconds=30)
"""Amazon refuses a window that ends less than two minutes ago by its own clock; the rest is for ours."""
OVERLAP = timedelta(minutes=5)
"""Orders are reported to enter the lists late."""
HISTORY = timedelta(days=730)
"""Amazon tells of two years (of more in Japan, Australia and Singapore)."""
TOKEN_LIFE = timedelta(hours=23)
"""Tokens of pages are good for 24 hours."""


@dataclass
class OrderState:
    """How far the orders were read.

    Attributes:
        through: end of the last window that was read to its last page.
        window: one that was begun and not finished; it is gone on with, not begun anew.
        token, told_at: of its next page, and when it was told.
        refunds: the known ones.
    """

    through: datetime | None = None
    window: Window | None = None
    token: str | None = None
    told_at: datetime | None = None
    refunds: RefundLedger = field(default_factory=RefundLedger)

    @classmethod
    def of(cls, watermark: Watermark | None) -> OrderState:
        """Return the state of a watermark."""
        found = cls()
        if watermark is None:
            return found
        state = watermark.state
        found.refunds = RefundLedger.from_state(state.get("refunds", {}))
        if "through" in state:
            found.through = datetime.fromisoformat(state["through"])
        if "window" in state:
            opened = state["window"]
            after, before, told_at = (datetime.fromisoformat(opened[name]) for name in ("after", "before", "told_at"))
            found.window, found.token, found.told_at = Window(after, before), opened["token"], told_at
        return found

    @property
    def watermark(self) -> Watermark:
        """The watermark to go on from here."""
        state: dict[str, Any] = {"refunds": self.refunds.to_state()}
        if self.through is not None:
            state["through"] = self.through.isoformat()
        if self.window is not None and self.told_at is not None:
            state["window"] = {
                "after": self.window.after.isoformat(),
                "before": self.window.before.isoformat(),
                "token": self.token,
                "told_at": self.told_at.isoformat(),
            }
        return Watermark(state, self.through)


@dataclass(frozen=True, slots=True)
class OrderReading:
    """Reads the orders of one seller.

    Attributes:
        refunds: whether Finances is asked; it takes a role of its own.
    """

    seller: SellingPartner
    region: str
    clock: Callable[[], datetime]
    refunds: bool = True

    async def since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Yield what changed: orders of new refunds, the rest of an open window, and the window up to now."""
        latest = self._latest()
        state = OrderState.of(watermark)
        if self.refunds:
            touched = await state.refunds.read(self.seller, latest)
            # A first reading comes by all orders anyway.
            found = await self._refunded(sorted(touched) if watermark is not None else (), state, latest)
            if found or state.refunds.errors:
                yield self._page(found, state)
        if state.window is not None:
            async for page in self._window(state, latest):
                yield page
        after = latest - HISTORY if state.through is None else state.through - OVERLAP
        if state.through is None or state.through < latest:
            state.window, state.token, state.told_at = Window(after, latest), None, latest
            async for page in self._window(state, latest):
                yield page

    async def between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Yield the orders placed or changed in a window of time, ``first`` included, ``last`` not."""
        latest = self._latest()
        before = min(last - timedelta(seconds=1), latest)
        if before < first:
            return
        for created in (True, False):
            # Refunds are read anew: the ledger that is kept goes with the watermark, which stays where it is.
            state = OrderState(window=Window(first, before, created), told_at=latest)
            if self.refunds:
                await state.refunds.read(self.seller, latest)
            async for page in self._window(state, latest):
                yield page

    def _latest(self) -> datetime:
        return (self.clock() - SETTLED).replace(microsecond=0)

    async def _window(self, state: OrderState, latest: datetime) -> AsyncIterator[Page[Order]]:
        window = state.window
        assert window is not None
        token = state.token if state.told_at is not None and self.clock() - state.told_at < TOKEN_LIFE else None
        went_on = token is not None
        while True:
            try:
                page = await self.seller.search_orders(window, token)
            except PeerError as error:
                if not went_on or error.kind is not FailureKind.PERMANENT:
                    raise
                # A token of an earlier run that is not taken any more: the same window from its beginning.
                token, went_on = None, False
                continue
            went_on = False
            token = page.next_token
            if token is None:
                end = window.before if page.before is None else min(page.before, window.before)
                state.through = end if state.through is None else max(state.through, end)
                state.window = state.token = state.told_at = None
            else:
                state.token, state.told_at = token, self.clock()
            yield self._page([await self._read(raw, state, latest) for raw in page.orders], state)
            if token is None:
                return

    async def _refunded(self, keys: Iterable[str], state: OrderState, latest: datetime) -> list[Order | ItemError]:
        found = []
        for key in keys:
            try:
                raw = await self.seller.order(key)
            except PeerError as error:
                # Older than what Amazon tells of.
                if error.kind is not FailureKind.GONE:
                    raise
            else:
                found.append(await self._read(raw, state, latest))
        return found

    async def _read(self, raw: Any, state: OrderState, latest: datetime) -> Order | ItemError:
        refunds = await state.refunds.of_order(self.seller, raw, latest) if self.refunds else ()
        return read_order(raw, refunds, self.region)

    def _page(self, read: Iterable[Order | ItemError], state: OrderState) -> Page[Order]:
        found = tuple(read)
        orders = tuple(one for one in found if isinstance(one, Order))
        errors = tuple(one for one in found if isinstance(one, ItemError))
        return Page(orders, state.watermark, errors + state.refunds.taken_errors())
