"""The state of one shop in memory: records, what finds them, its clock, and who waits to be told of changes."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest
from sync_pipelines.sandbox.woocommerce.access import AccessControl
from sync_pipelines.sandbox.woocommerce.indices import Index
from sync_pipelines.sandbox.woocommerce.model import (
    Attribute,
    Coupon,
    Customer,
    Meta,
    Note,
    Order,
    Product,
    Record,
    Term,
    Webhook,
)

DEFAULT_CATEGORY = 15
_REMEMBERED_LISTINGS = 64
_FIRST_NUMBERS = {"post": 11, "user": 1, "term": DEFAULT_CATEGORY, "attribute": 1, "item": 1, "meta": 20, "note": 1}


@dataclass(slots=True)
class _Hook:
    method: str
    path: str
    action: Callable[[], object]
    skip: int


class ShopState:
    """Everything a shop knows. Read it freely; change records by the methods of :class:`ShopWorld`.

    Attributes:
        zone: time zone of the shop, in which it tells times without ``_gmt``.
        clock: its time; tests may let it stand or move on.
        site_url: scheme and host of links and signatures, set when it is served.
        access: keys of the API.
        products: variations too, trashed ones too.
        customers: all users, whatever their role.
        orders: trashed ones too.
        pending_deliveries: what the next run of the scheduler sends: webhook, record, occasion.
        requests: every request received, in order.
        trusts_forwarded_proto: whether ``X-Forwarded-Proto: https`` counts as TLS, as in a shop behind a proxy.
        held_skus: codes that another request is about to take; creating with one of them fails.
        latency_seconds, latency_per_item_seconds: what each request, and each item of a batch, takes at least.
        revision: changes with every change of any record.
        guard: held while a request is served; hold it to look at several things at once.
    """

    def __init__(self, *, zone: str = "Europe/Berlin", clock: Clock | None = None) -> None:
        self.zone = ZoneInfo(zone)
        self.clock = clock or Clock()
        self.site_url = "http://woocommerce.test"
        self.access = AccessControl()
        self.guard = threading.RLock()
        self.requests: list[LoggedRequest] = []
        self.products: dict[int, Product] = {}
        self.customers: dict[int, Customer] = {}
        self.orders: dict[int, Order] = {}
        self.notes: list[Note] = []
        self.webhooks: dict[int, Webhook] = {}
        self.coupons: dict[int, Coupon] = {}
        self.terms: dict[int, Term] = {}
        self.attributes: dict[int, Attribute] = {}
        self.skus, self.gtins, self.emails = Index(), Index(), Index()
        self.usernames, self.slugs = Index(), Index()
        self.pending_deliveries: OrderedDict[tuple[int, int, str], None] = OrderedDict()
        self.trusts_forwarded_proto = False
        self.held_skus: set[str] = set()
        self.latency_seconds = 0.0
        self.latency_per_item_seconds = 0.0
        self.revision = 0
        self._listings: OrderedDict[Any, tuple[int, Sequence[Any]]] = OrderedDict()
        self._numbers = dict(_FIRST_NUMBERS)
        self._hooks: list[_Hook] = []

    def now(self) -> int:
        """Return Unix seconds of the shop; it knows no fractions."""
        return int(self.clock.now())

    def is_secure(self, scheme: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request counts as sent over TLS."""
        return scheme == "https" or (self.trusts_forwarded_proto and headers.get("x-forwarded-proto") == "https")

    def next_number(self, kind: str) -> int:
        """Take a number. Products, orders, refunds and coupons share one sequence."""
        number = self._numbers.get(kind, 1)
        self._numbers[kind] = number + 1
        return number

    def numbers_above(self, kind: str, number: int) -> None:
        """Let the next number be higher than this one."""
        self._numbers[kind] = max(self._numbers.get(kind, 1), number + 1)

    def touch(self, record: Record) -> None:
        """Take note that a record changed: its time moves, also when no value did."""
        record.modified = max(self.now(), record.modified or 0)
        self.forget_texts(record)

    def forget_texts(self, record: Record) -> None:
        """Let what was shown of a record be made anew, and of its variations, which show the stock of their parent."""
        self.revision += 1
        record.texts.clear()
        if isinstance(record, Product):
            for number in record.variations:
                self.products[number].texts.clear()

    def set_meta(self, record: Record, rows: Sequence[Mapping[str, Any]]) -> None:
        """Set, add, or (by a value of null) remove named values."""
        for row in rows:
            found = next(
                (
                    meta
                    for meta in record.meta
                    if meta.id == row.get("id") or ("id", row.get("key")) == ("id", meta.key)
                ),
                None,
            )
            if row.get("value") is None:
                record.meta = [meta for meta in record.meta if meta is not found]
            elif found is not None:
                found.key, found.value = row.get("key", found.key), row["value"]
            else:
                record.meta.append(Meta(self.next_number("meta"), str(row.get("key", "")), row["value"]))

    def announce(self, resource: str, event: str, number: int, occasion: str = "") -> None:
        """Let the active webhooks of a topic deliver at the next run of the scheduler, once for several changes."""
        for hook in self.webhooks.values():
            if hook.status == "active" and hook.topic == f"{resource}.{event}":
                self.pending_deliveries[hook.id, number, occasion] = None

    def listing(self, key: Any, found: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """Return the records of a listing, which are looked for anew only after a change."""
        known = self._listings.pop(key, None)
        if known is None or known[0] != self.revision:
            known = self.revision, found()
        self._listings[key] = known
        while len(self._listings) > _REMEMBERED_LISTINGS:
            self._listings.popitem(last=False)
        return known[1]

    def after(self, path: str, action: Callable[[], object], *, method: str = "GET", skip: int = 0) -> None:
        """Do something once, when a request was answered and before the client knows.

        Arguments:
            path: regular expression searched for in the path.
            action: e.g. changes a product that stood on the page just read.
            skip: matching requests that are let through first.
        """
        self._hooks.append(_Hook(method, path, action, skip))

    def answered(self, method: str, path: str) -> None:
        """Take note that a request was answered."""
        for hook in [hook for hook in self._hooks if hook.method == method and re.search(hook.path, path)]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()

    @property
    def writes(self) -> list[LoggedRequest]:
        """Every write request received, refused ones included."""
        return [request for request in self.requests if request.is_write]
