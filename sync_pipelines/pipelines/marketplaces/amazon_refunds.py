"""Refunds of Amazon: Finances tells of them days later, while the order itself stays as it is.

An order that comes again must come with all its refunds, or they would be undone by any later change of it. So the
refunds of the last days are kept with the watermark; an order that is older than these days is asked about by its id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sync_pipelines.core.marketplaces import ItemError, ProblemKind
from sync_pipelines.pipelines.marketplaces.amazon_records import UNREADABLE, Refund, refund_of
from sync_pipelines.systems.amazon import TRANSACTION_DAYS, SellingPartner

MEMORY = timedelta(days=60)
"""An order that was placed within this time has all its refunds within it."""
LATE = timedelta(hours=50)
"""Finances may leave out the orders of the last 48 hours."""
LATE_EVERY = timedelta(hours=6)
"""How often that time is read again; in between only what was posted since the last reading."""
OVERLAP = timedelta(minutes=10)
_LONGEST = timedelta(days=TRANSACTION_DAYS - 1)

State = Mapping[str, Any]


@dataclass
class RefundLedger:
    """The refunds that are known.

    Attributes:
        through: transactions posted before this time have been read.
        settled: when the time for which Finances is late was last read again.
        known: order -> transaction -> refund.
        errors: refunds that could not be read, since this was last asked by :meth:`taken_errors`.
    """

    through: datetime | None = None
    settled: datetime | None = None
    known: dict[str, dict[str, Refund]] = field(default_factory=dict)
    errors: list[ItemError] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: State) -> RefundLedger:
        """Return the ledger that was kept."""
        ledger = cls()
        if "through" in state:
            ledger.through = datetime.fromisoformat(state["through"])
            ledger.settled = datetime.fromisoformat(state["settled"])
        for order, transactions in state.get("known", {}).items():
            for key, (posted, amount, currency) in transactions.items():
                ledger._add(Refund(key, order, datetime.fromisoformat(posted), Decimal(amount), currency))
        return ledger

    def to_state(self) -> State:
        """Return what is to be kept, as JSON."""
        if self.through is None or self.settled is None:
            return {}
        known = {
            order: {key: [one.posted.isoformat(), str(one.amount), one.currency] for key, one in found.items()}
            for order, found in self.known.items()
        }
        return {"through": self.through.isoformat(), "settled": self.settled.isoformat(), "known": known}

    async def read(self, seller: SellingPartner, latest: datetime) -> set[str]:
        """Read what was posted up to a time, and return the orders of which new refunds came."""
        after, settles = latest - MEMORY, True
        if self.through is not None and self.settled is not None:
            settles = latest - self.settled >= LATE_EVERY
            after = max(after, min(self.through, self.settled - LATE) if settles else self.through - OVERLAP)
        if after >= latest:
            return set()
        touched = {one.order async for one in self._refunds(seller, after, latest) if self._add(one)}
        self.through = latest
        self.settled = latest if settles else self.settled
        self._forget(latest - MEMORY)
        return touched

    async def of_order(self, seller: SellingPartner, raw: Any, latest: datetime) -> Iterable[Refund]:
        """Return all refunds of an order."""
        key, placed, word = _facts(raw)
        if placed is None or placed >= latest - MEMORY:
            return self.known.get(key, {}).values()
        if word in ("PENDING", "PENDING_AVAILABILITY", "UNSHIPPED"):
            return ()
        found: dict[str, Refund] = {}
        after = placed
        while after < latest:
            before = min(after + _LONGEST, latest)
            found |= {one.transaction: one async for one in self._refunds(seller, after, before, key)}
            after = before
        return found.values()

    def taken_errors(self) -> tuple[ItemError, ...]:
        """Return the errors that came up, once."""
        found, self.errors = tuple(self.errors), []
        return found

    async def _refunds(
        self, seller: SellingPartner, after: datetime, before: datetime, order_id: str | None = None
    ) -> AsyncIterator[Refund]:
        token: str | None = None
        while True:
            page = await seller.transactions(after, before, token, order_id=order_id)
            for transaction in page.transactions:
                refund = self._readable(transaction)
                if refund is not None and order_id in (None, refund.order):
                    yield refund
            token = page.next_token
            if token is None:
                return

    def _readable(self, transaction: Any) -> Refund | None:
        try:
            return refund_of(transaction)
        except UNREADABLE as error:
            key = transaction.get("transactionId") if isinstance(transaction, dict) else None
            message = f"the refund cannot be read: {type(error).__name__} {error}"[:300]
            self.errors.append(ItemError(ProblemKind.UNREADABLE, str(key or ""), message, payload=transaction))
            return None

    def _add(self, refund: Refund) -> bool:
        found = self.known.setdefault(refund.order, {})
        is_new = found.get(refund.transaction) != refund
        found[refund.transaction] = refund
        return is_new

    def _forget(self, until: datetime) -> None:
        kept = {
            order: {key: one for key, one in found.items() if one.posted >= until}
            for order, found in self.known.items()
        }
        self.known = {order: found for order, found in kept.items() if found}


def _facts(raw: Any) -> tuple[str, datetime | None, str]:
    """Return id, time of creation and status of an order, as far as they can be read."""
    try:
        status = (raw.get("fulfillment") or {}).get("fulfillmentStatus")
        return str(raw["orderId"]), datetime.fromisoformat(raw["createdTime"]), str(status)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "", None, ""
