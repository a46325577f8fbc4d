"""State of the stand-in: a seller's orders, listings and transactions, tokens, budgets, and what is yet to happen."""

from __future__ import annotations

import copy
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.sandbox.amazon.answers import no_grant, refused, unauthorized
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest

CLIENT_ID = "amzn1.application-oa2-client.demo"
CLIENT_SECRET = "amzn1.oa2-cs.v1.demo"
SELLER_ID = "A1DEMOSELLER0"
REGIONS: Mapping[str, tuple[str, ...]] = {
    "na": ("ATVPDKIKX0DER",),
    "eu": ("A1PA6795UKMFR9", "A1F83G8C2ARO7P"),
    "fe": ("A1VC38T7YXB528",),
}
"""Stores of the demo's seller."""
TOKEN_SECONDS = 3600
RATES: Mapping[str, tuple[float, float]] = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "listTransactions": (0.5, 10),
    "searchListingsItems": (5.0, 5),
}
"""Calls a second and burst of each operation, for one seller and region."""

Record = dict[str, Any]


def refresh_token(region: str) -> str:
    """Return the demo seller's consent for a region; it is invented and opens no door."""
    return f"Atzr|demo-{region}"


@dataclass(slots=True)
class Granted:
    """An access token that was issued."""

    region: str
    until: float


@dataclass(frozen=True, slots=True)
class Change:
    """What happens at a time, in Unix seconds."""

    at: float
    op: str
    kind: str
    id: str
    record: Record | None


@dataclass
class _Hook:
    path: re.Pattern[str]
    skip: int
    action: Callable[[], object]


@dataclass
class _Bucket:
    tokens: float
    at: float


@dataclass
class AmazonWorld:
    """What the stand-in knows.

    Attributes:
        clock: its time; everything is judged by it.
        orders, listings: by id and by sku, as the API would tell them with all data sets.
        transactions: as Finances tells them.
        changes: what is yet to happen; it does when its time has come.
        tells_rate: whether answers carry ``x-amzn-RateLimit-Limit``, which real ones often do not.
        page: orders of a page at most, below what is asked for.
        granted: access tokens that are good.
        calls: answered calls by operation, refusals included.
        requests: every request as it came.
        guard: held while a request is answered.
    """

    clock: Clock = field(default_factory=Clock)
    orders: dict[str, Record] = field(default_factory=dict)
    listings: dict[str, Record] = field(default_factory=dict)
    transactions: list[Record] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    tells_rate: bool = True
    page: int = 100
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[LoggedRequest] = field(default_factory=list)
    guard: threading.RLock = field(default_factory=threading.RLock)
    consents: dict[str, str] = field(default_factory=lambda: {refresh_token(region): region for region in REGIONS})
    granted: dict[str, Granted] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _hooks: list[_Hook] = field(default_factory=list)
    _last_number: int = 0
    pages: dict[str, Any] = field(default_factory=dict)

    def now(self) -> float:
        """Return the time, with everything done that was due by it."""
        now = self.clock.now()
        due = [change for change in self.changes if change.at <= now]
        self.changes = [change for change in self.changes if change.at > now]
        for change in sorted(due, key=lambda change: change.at):
            self._apply(change)
        return now

    def bring_forward(self) -> str | None:
        """Let happen now what is to happen next, and return the id of what it happens to; ``None`` for nothing."""
        with self.guard:
            now = written(self.now())
            if not self.changes:
                return None
            change = min(self.changes, key=lambda change: change.at)
            self.changes.remove(change)
            if change.record is not None and change.kind == "order":
                change = replace(change, record={**change.record, "lastUpdatedTime": now})
            self._apply(change)
            return change.id

    def _apply(self, change: Change) -> None:
        kept = self.orders if change.kind == "order" else self.listings
        if change.op == "delete":
            kept.pop(change.id, None)
        else:
            assert change.record is not None
            kept[change.id] = change.record

    def put_order(self, record: Record, **fields: Any) -> Record:
        """Place an order, or replace it; with fields, those change and the time of change is now."""
        with self.guard:
            made = copy.deepcopy(record)
            if fields:
                made |= {"lastUpdatedTime": written(self.now()), **fields}
            self.orders[made["orderId"]] = made
            return made

    def ship(self, order_id: str) -> None:
        """Let an order be shipped now."""
        order = self.orders[order_id]
        self.put_order(order, fulfillment={**order["fulfillment"], "fulfillmentStatus": "SHIPPED"})

    def refund(self, order_id: str, amount: float, *, hours_ago: float = 0) -> None:
        """Pay something back. Finances tells nothing of orders that are younger than 48 hours."""
        with self.guard:
            order = self.orders[order_id]
            store = order["salesChannel"]["marketplaceId"]
            currency = order["orderItems"][0]["proceeds"]["proceedsTotal"]["currencyCode"]
            self.transactions.append(
                {
                    "sellingPartnerMetadata": {"sellingPartnerId": SELLER_ID, "marketplaceId": store},
                    "relatedIdentifiers": [{"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": order_id}],
                    "transactionType": "Refund",
                    "transactionId": f"TX-{self.number()}",
                    "transactionStatus": "RELEASED",
                    "postedDate": written(self.now() - hours_ago * 3600),
                    "totalAmount": {"currencyCode": currency, "currencyAmount": -amount},
                    "marketplaceDetails": {"marketplaceId": store},
                }
            )

    def number(self) -> int:
        """Return a number that was not given out yet."""
        with self.guard:
            self._last_number += 1
            return self._last_number

    def after(self, path: str, action: Callable[[], object], *, skip: int = 0) -> None:
        """Do something once, after a request whose path matches was answered; the first ``skip`` are passed over."""
        self._hooks.append(_Hook(re.compile(path), skip, action))

    def answered(self, path: str) -> None:
        """Note that a request was answered."""
        for hook in [hook for hook in self._hooks if hook.path.search(path)]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()

    def grant(self, form: Mapping[str, str]) -> Record:
        """Issue an access token.

        Raises:
            Refused: the application or the consent is not known.
        """
        if form.get("grant_type") != "refresh_token":
            raise no_grant(400, "unsupported_grant_type", "The authorization grant type is not supported")
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            raise no_grant(401, "invalid_client", "Client authentication failed")
        region = self.consents.get(form.get("refresh_token", ""))
        if region is None:
            raise no_grant(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
        token = f"Atza|{self.number()}-{region}"
        self.granted[token] = Granted(region, self.clock.now() + TOKEN_SECONDS)
        return {
            "access_token": token,
            "refresh_token": form["refresh_token"],
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
        }

    def revoke_tokens(self) -> None:
        """Let all access tokens end now."""
        self.granted.clear()

    def admit(self, token: str | None, region: str, operation: str) -> None:
        """Let a call in.

        Raises:
            Refused: its token is no good here, or the budget is used up.
        """
        granted = self.granted.get(token or "")
        if granted is None:
            raise unauthorized("The access token you provided is revoked, malformed or invalid.")
        if granted.until <= self.clock.now():
            raise unauthorized("The access token you provided has expired.")
        if granted.region != region:
            raise unauthorized("The access token you provided is not valid for this region.")
        rate, burst = RATES[operation]
        now = self.clock.now()
        bucket = self._buckets.setdefault((region, operation), _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        # A whole token, give or take what the addition of fractions loses.
        if bucket.tokens < 1 - 1e-9:
            raise refused(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        bucket.tokens -= 1

    def describe(self) -> Record:
        """Tell what there is."""
        return {"orders": len(self.orders), "listings": len(self.listings), "transactions": len(self.transactions)}


def region_of(store: str) -> str:
    """Return the region of a store. Raises ``KeyError`` for an unknown one."""
    return next((region for region, stores in REGIONS.items() if store in stores), "") or _unknown(store)


def _unknown(store: str) -> str:
    raise KeyError(store)


def written(seconds: float) -> str:
    """Return a time as the API writes it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds_of(value: str) -> float:
    """Return a written time in Unix seconds."""
    return datetime.fromisoformat(value).timestamp()
