"""One seller account: its sales, offers, returns and transactions, and what is yet to happen to them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest

SAST = timezone(timedelta(hours=2))
TIMES = frozenset({"order_date", "created_at", "updated_at"})
"""Fields that hold a time."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time.

    Attributes:
        at: Unix seconds.
        kind: ``sale``, ``offer``, ``return`` or ``transaction``.
        row: what the record becomes; ``None``: it goes away.
    """

    at: float
    kind: str
    key: int
    row: Row | None


@dataclass(slots=True)
class _Hook:
    path: str
    action: Callable[[], object]
    skip: int


@dataclass
class TakealotWorld:
    """State of the account. Tests read it directly, and change its tables and clock.

    Attributes:
        api_key: the account has one; a new one ends the old.
        sales, offers, returns, transactions: id -> record as it is answered.
        timeline: events to come, in order; they happen when the clock has reached them and somebody asks.
        latency: seconds that each answer takes.
        requests: everything that was asked.
        guard: held while a request is answered.
    """

    api_key: str
    clock: Clock = field(default_factory=Clock)
    sales: dict[int, Row] = field(default_factory=dict)
    offers: dict[int, Row] = field(default_factory=dict)
    returns: dict[int, Row] = field(default_factory=dict)
    transactions: dict[int, Row] = field(default_factory=dict)
    timeline: list[Event] = field(default_factory=list)
    latency: float = 0.0
    requests: list[LoggedRequest] = field(default_factory=list)
    guard: threading.RLock = field(default_factory=threading.RLock)
    _hooks: list[_Hook] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the time, aware, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def today(self) -> str:
        """Return the South African day."""
        return self.now().astimezone(SAST).date().isoformat()

    def catch_up(self) -> None:
        """Let happen what was to happen by now."""
        while self.timeline and self.timeline[0].at <= self.clock.now():
            self._happen(self.timeline.pop(0))

    def bring_forward(self) -> int | None:
        """Let happen now what is to happen next, and return the id of what it happens to; ``None`` for nothing."""
        with self.guard:
            self.catch_up()
            if not self.timeline:
                return None
            event = self.timeline.pop(0)
            now = self.now().astimezone(SAST)
            past = {
                name: now.isoformat(timespec="seconds")
                for name, value in (event.row or {}).items()
                if name in TIMES and datetime.fromisoformat(value) > now
            }
            self._happen(replace(event, row=event.row and {**event.row, **past}))
            return event.key

    def _happen(self, event: Event) -> None:
        table = self._table(event.kind)
        if event.row is None:
            table.pop(event.key, None)
        else:
            table[event.key] = event.row

    def replace_key(self, api_key: str) -> None:
        """Make a new key, which ends the old one."""
        self.api_key = api_key

    def set_latency(self, seconds: float) -> None:
        """Let each answer take so long."""
        self.latency = seconds

    def describe(self) -> dict[str, Any]:
        """Return what the account holds, in numbers."""
        tables = {"sales": self.sales, "offers": self.offers, "returns": self.returns}
        return {"now": self.now().isoformat(), **{name: len(table) for name, table in tables.items()}}

    def add_sale(
        self, order_id: int, *, days_ago: float = 0, status: str = "New Lead Time Order", **fields: Any
    ) -> int:
        """Sell an item of an order; gives the item's id."""
        key = max(self.sales, default=440_000_000) + 1
        ordered = (self.now() - timedelta(days=days_ago)).astimezone(SAST)
        self.sales[key] = {
            "order_item_id": key,
            "order_id": order_id,
            "order_date": ordered.isoformat(timespec="seconds"),
            "sale_status": status,
            "offer_id": next(iter(self.offers), 90_000_001),
            "tsin_id": 70_000_001,
            "sku": f"SKU-{key}",
            "selling_price": 100,
            "quantity": 1,
            "total_fees": 12.5,
            "sales_region": "CPT",
            "stock_source_region": "CPT",
            **fields,
        }
        return key

    def add_offer(self, **fields: Any) -> int:
        """Offer something; gives its id."""
        key = max(self.offers, default=90_000_000) + 1
        self.offers[key] = {
            "offer_id": key,
            "tsin_id": key - 20_000_000,
            "sku": f"SKU-{key}",
            "barcode": str(6_000_000_000_000 + key),
            "selling_price": 100,
            "rrp": 120,
            "status": "buyable",
            "title": f"Offer {key}",
            "created_at": "2026-01-01T00:00:00+02:00",
            "updated_at": "2026-01-01T00:00:00+02:00",
            "seller_warehouse_stock": [{"seller_warehouse_id": 1, "quantity_available": 3}],
            "takealot_warehouse_stock": [{"region": "CPT", "quantity_available": 4}],
            **fields,
        }
        return key

    def after(self, path: str, action: Callable[[], object], *, skip: int = 0) -> None:
        """Do something once, when a request was answered and before the client knows.

        Arguments:
            path: regular expression searched for in the path.
            skip: matching requests that are let through first.
        """
        self._hooks.append(_Hook(path, action, skip))

    def answered(self, path: str) -> None:
        """Take note that a request was answered."""
        for hook in [hook for hook in self._hooks if re.search(hook.path, path)]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()

    def _table(self, kind: str) -> dict[int, Row]:
        tables = {
            "sale": self.sales,
            "offer": self.offers,
            "return": self.returns,
            "transaction": self.transactions,
        }
        return tables[kind]
