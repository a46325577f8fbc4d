"""The state of one shop: records, the index that lags behind them, tokens, the budget, bulk operations."""

from __future__ import annotations

import copy
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest
from sync_pipelines.sandbox.shopify.search import Entry

CLIENT_ID = "demo-client-id"
CLIENT_SECRET = "shpss_" + "3f" * 16
PERMANENT_TOKEN = "shpat_" + "4a" * 16
TOKEN_SECONDS = 24 * 3600
VISIBLE_SECONDS = 60 * 86_400
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
SCOPES = frozenset({"read_orders", "read_all_orders", "read_products"})
MOST_OF_ONE_QUERY = 1000
_KINDS = {"orders": "Order", "products": "Product"}

Record = dict[str, Any]


@dataclass
class Bucket:
    """The query budget: points that come back with time."""

    size: float = 2000.0
    restore_rate: float = 100.0
    level: float = field(default=2000.0)
    at: float | None = None

    def available(self, now: float) -> float:
        """Return the points there are now."""
        if self.at is not None:
            self.level = min(self.size, self.level + max(0.0, now - self.at) * self.restore_rate)
        self.at = now
        return self.level


@dataclass
class Bulk:
    """A bulk operation.

    Attributes:
        polls: looks after which it is over.
        lines: its file.
        roots: lines without a parent.
    """

    id: str
    lines: list[str]
    roots: int
    polls: int = 1
    outcome: str = "COMPLETED"

    @property
    def status(self) -> str:
        """What it is doing."""
        return "RUNNING" if self.polls >= 0 else self.outcome

    def cancel(self) -> bool:
        """End it, unless it is over."""
        if self.status != "RUNNING":
            return False
        self.polls, self.outcome = -1, "CANCELED"
        return True


@dataclass
class _Hook:
    operation: str
    action: Callable[[], object]
    skip: int


class ShopifyWorld:
    """Everything a shop knows. Read it freely; change records by the methods.

    Attributes:
        url: where it is served.
        clock: its time; tests may move it on.
        versions: which are supported; an older one is answered by the first of them.
        scopes: what the app may do.
        index_lag: seconds after which searches know of a change.
        bulk_places: operations that may run at a time.
        bulk_outcome: how bulk operations end; ``BUSY`` refuses them.
        timeline: what is yet to happen, in order, as the demo's file has it; it does when :meth:`happen` is told.
        guard: held while a request is answered.
        operations: names of the queries that were answered, in order.
        requests: every request received, in order.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.url = ""
        self.clock = clock or Clock()
        self.currency = "USD"
        self.versions = VERSIONS
        self.scopes = SCOPES
        self.index_lag = 10.0
        self.bucket = Bucket()
        self.most_of_one_query = MOST_OF_ONE_QUERY
        self.bulk_outcome = "COMPLETED"
        self.bulk_polls = 1
        self.bulk_places = 5
        self.records: dict[str, dict[int, Record]] = {kind: {} for kind in _KINDS}
        self.tokens: dict[str, float | None] = {PERMANENT_TOKEN: None}
        self.bulks: dict[str, Bulk] = {}
        self.timeline: list[Record] = []
        self.guard = threading.RLock()
        self.operations: list[str] = []
        self.requests: list[LoggedRequest] = []
        self._index: dict[str, dict[int, Entry]] = {kind: {} for kind in _KINDS}
        self._unindexed: list[tuple[float, str, int]] = []
        self._hooks: list[_Hook] = []

    @property
    def orders(self) -> dict[int, Record]:
        """Orders by number."""
        return self.records["orders"]

    @property
    def products(self) -> dict[int, Record]:
        """Products by number."""
        return self.records["products"]

    def now_text(self) -> str:
        """Return the time now as records have it: to the second."""
        return datetime.fromtimestamp(int(self.clock.now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def put(self, kind: str, record: Mapping[str, Any], *, indexed: bool = False) -> int:
        """Keep a record and return its number; searches find it when the index has caught up.

        Arguments:
            indexed: whether the index knows it already.
        """
        number = int(str(record["id"]).rpartition("/")[2])
        self.records[kind][number] = copy.deepcopy(dict(record))
        self._unindexed.append((self.clock.now() + (0.0 if indexed else self.index_lag), kind, number))
        return number

    def edit(self, kind: str, number: int, **fields: Any) -> None:
        """Change a record; its time of change moves."""
        self.put(kind, {**self.records[kind][number], "updatedAt": self.now_text(), **fields})

    def delete(self, kind: str, number: int) -> None:
        """Delete a record; nothing tells of it any more."""
        del self.records[kind][number]

    def happen(self, event: Mapping[str, Any]) -> None:
        """Let something of the timeline happen."""
        kind = f"{event['kind']}s"
        if event["op"] == "delete":
            self.delete(kind, event["id"])
        else:
            self.put(kind, event["graphql"])

    def bring_forward(self) -> int | None:
        """Let happen now what is to happen next, and return the number of what it happens to; ``None`` for nothing."""
        with self.guard:
            if not self.timeline:
                return None
            event = self.timeline.pop(0)
            if "graphql" in event:
                event = {**event, "graphql": {**event["graphql"], "updatedAt": self.now_text()}}
            self.happen(event)
            number: int = event["id"]
            return number

    def describe(self) -> Record:
        """Return what the shop holds, in numbers."""
        return {"orders": len(self.orders), "products": len(self.products), "to_happen": len(self.timeline)}

    def entries(self, kind: str) -> list[Entry]:
        """Return what the index knows of the records that there are."""
        now = self.clock.now()
        due = [one for one in self._unindexed if one[0] <= now]
        if due:
            self._unindexed = [one for one in self._unindexed if one[0] > now]
        for _, of_kind, number in due:
            record = self.records[of_kind].get(number)
            if record is not None:
                times = {"updated_at": _seconds(record["updatedAt"]), "created_at": _seconds(record["createdAt"])}
                self._index[of_kind][number] = {"id": number, **times}
        oldest = now - VISIBLE_SECONDS if kind == "orders" and "read_all_orders" not in self.scopes else 0.0
        known = self.records[kind]
        return [one for number, one in self._index[kind].items() if number in known and one["created_at"] >= oldest]

    def issue_token(self) -> str:
        """Make a token that is good for 24 hours."""
        token = f"shpat_{secrets.token_hex(16)}"
        self.tokens[token] = self.clock.now() + TOKEN_SECONDS
        return token

    def is_good(self, token: str) -> bool:
        """Return whether a token lets in."""
        if token not in self.tokens:
            return False
        until = self.tokens[token]
        return until is None or self.clock.now() < until

    def answering(self, version: str) -> str | None:
        """Return the version that answers for the one asked for; ``None`` when there is no such thing yet."""
        if version in self.versions:
            return version
        return self.versions[0] if re.fullmatch(r"20\d\d-\d\d", version) and version < self.versions[0] else None

    def after(self, operation: str, action: Callable[[], object], *, skip: int = 0) -> None:
        """Do something once, when a query of this name was answered and before the client knows.

        Arguments:
            skip: such queries that are let through first.
        """
        self._hooks.append(_Hook(operation, action, skip))

    def answered(self, operation: str) -> None:
        """Take note that a query was answered."""
        self.operations.append(operation)
        for hook in [hook for hook in self._hooks if hook.operation == operation]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
