"""Replays what was recorded of WooCommerce 11.0.1 against a stand-in, and tells where the answers differ.

Each file begins with a fresh shop and is played in order. Numbers of records are given out as by the real shop, so
that they are compared as they are. Times are too: before a write the clock of the stand-in is set to the moment that
the recording tells of it, and a time may be off by two seconds, because a real request takes a while.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ApiKey, ShopWorld

RECORDINGS = Path(__file__).parent / "recordings" / "woocommerce"
FILES = (
    "environment",
    "auth",
    "products",
    "paging",
    "modified_windows",
    "sku_search",
    "batch",
    "variable_products",
    "customers",
    "orders",
)
HOST = "woocommerce.test"
READ_KEY = ApiKey("ck_" + "3f" * 20, "cs_" + "3f" * 20, permissions="read")
WRITE_KEY = ApiKey("ck_" + "4a" * 20, "cs_" + "4a" * 20, permissions="write")
POWERLESS_KEY = ApiKey("ck_" + "5b" * 20, "cs_" + "5b" * 20, manages_shop=False)

_PLACEHOLDERS = {
    "<consumer key>": DEMO_KEY.consumer_key,
    "<consumer secret>": DEMO_KEY.consumer_secret,
    "<wrong consumer secret>": "cs_" + "00" * 20,
    "<unknown consumer key>": "ck_" + "99" * 20,
    "<unknown consumer secret>": "cs_" + "99" * 20,
    "<read-only consumer key>": READ_KEY.consumer_key,
    "<read-only consumer secret>": READ_KEY.consumer_secret,
    "<write-only consumer key>": WRITE_KEY.consumer_key,
    "<write-only consumer secret>": WRITE_KEY.consumer_secret,
    "<consumer key of a user without shop rights>": POWERLESS_KEY.consumer_key,
    "<consumer secret of a user without shop rights>": POWERLESS_KEY.consumer_secret,
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_SECRET = re.compile(
    r"((?:consumer_key|consumer_secret|oauth_nonce|oauth_timestamp|oauth_signature)=)(?:<[^>]*>|[^&>]+)"
)
_TOLERANCE_SECONDS = 2
_COMPARED_HEADERS = ("Content-Type", "X-WP-Total", "X-WP-TotalPages", "Link", "Allow", "Location", "Retry-After")
# Drawn by lot, or counted from what the shop did before the recording.
_NOT_COMPARED = frozenset({"related_ids", "order_key", "payment_url"})


@dataclass(frozen=True)
class Step:
    """One recorded exchange; ``direction`` is ``inbound`` for a delivery of a webhook."""

    scenario: str
    number: int
    note: str
    direction: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.scenario}, step {self.number}: {self.request['method']} {self.request['path']} ({self.note})"

    @property
    def is_write(self) -> bool:
        return self.direction != "inbound" and self.request["method"] not in ("GET", "HEAD")

    @property
    def times(self) -> list[float]:
        """The times of creation and change that the step tells, in order."""
        is_delivery = self.direction == "inbound" and self.request["body"].startswith("{")
        return _told(json.loads(self.request["body"]) if is_delivery else self.response["body"])

    @property
    def key(self) -> tuple[str, int]:
        return self.scenario, self.number


def read_steps(name: str) -> list[Step]:
    """Return the exchanges of a file."""
    rows = [json.loads(line) for line in (RECORDINGS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [
        Step(
            row["scenario"],
            row["step"],
            row.get("note") or "",
            row.get("direction", ""),
            row["request"],
            row["response"],
        )
        for row in rows
    ]


def recorded_world() -> ShopWorld:
    """Return a shop as each file begins with, with the keys that the recordings name."""
    world = ShopWorld(clock=Clock(standing_at=0.0))
    world.trusts_forwarded_proto = True
    for key in (READ_KEY, WRITE_KEY, POWERLESS_KEY):
        world.access.add(key)
    return world


def moments(steps: Sequence[Step]) -> list[float]:
    """Return the moment of each step: the latest it tells, or the first new one told before the next write."""
    found: list[float] = []
    now = min((moment for step in steps for moment in step.times), default=0.0)
    for index, step in enumerate(steps):
        own = step.times if step.is_write else []
        if step.is_write and (not own or step.request["method"] == "DELETE"):
            own = next(_later(steps[index + 1 :], now), [])
        now = max([now, *own[-1:]])
        found.append(now)
    return found


def _later(steps: Sequence[Step], now: float) -> Iterator[list[float]]:
    for step in steps:
        if step.is_write:
            return
        if found := [moment for moment in step.times if moment > now]:
            yield found[:1]


def _told(body: Any) -> list[float]:
    """Return the times of change and creation in an answer, in order."""
    names = ("date_created_gmt", "date_modified_gmt")
    found: list[float] = []
    if isinstance(body, list):
        found = [moment for item in body for moment in _told(item)]
    elif isinstance(body, dict):
        found = [_seconds(body[name]) for name in names if isinstance(body.get(name), str)]
        found += [moment for item in body.values() if isinstance(item, list) for moment in _told(item)]
    return sorted(moment for moment in found if moment > _seconds("2026-01-01T00:00:00"))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Replayer:
    """Sends recorded requests; ``client`` is bound to the stand-in's address."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._nonces: dict[str, str] = {}

    def send(self, step: Step) -> httpx.Response:
        """Send a request as it was recorded, with credentials in place of their placeholders."""
        request = step.request
        headers = {name: _filled(value) for name, value in request["headers"].items()}
        headers |= {"Host": HOST, "X-Forwarded-Proto": request["transport"]}
        query = {name: _filled(value) for name, value in request["query"].items()}
        if "oauth_consumer_key" in query:
            query = self._signed(request["method"], request["path"], query)
        body = request["body"]
        content = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        url = request["path"] + (f"?{urlencode(query)}" if query else "")
        return self._client.request(request["method"], url, headers=headers, content=content)

    def _signed(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, str]:
        nonce = query["oauth_nonce"]
        age = 20 * 60 if "20 minutes ago" in query["oauth_timestamp"] else 0
        parameters = {
            **query,
            "oauth_nonce": secrets.token_hex(8)
            if nonce == "<nonce>"
            else self._nonces.setdefault(nonce, secrets.token_hex(8)),
            "oauth_timestamp": str(int(time.time()) - age),
        }
        signature = parameters.pop("oauth_signature")
        pairs = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parameters.items())
        )
        base = "&".join([method, quote(f"http://{HOST}{path}", safe=""), quote(pairs, safe="")])
        algorithm = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}[query["oauth_signature_method"]]
        digest = hmac.digest(f"{DEMO_KEY.consumer_secret}&".encode(), base.encode(), algorithm)
        fits = base64.b64encode(digest).decode() if signature == "<signature>" else "bm90IHRoaXMgb25l"
        return {**parameters, "oauth_signature": fits}


def _filled(value: str) -> str:
    if value.startswith("Basic base64("):
        pair = ":".join(_PLACEHOLDERS[part] for part in value[len("Basic base64(") : -1].split(":"))
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return _PLACEHOLDERS.get(value, value)


def differences(recorded: Mapping[str, Any], seen: httpx.Response) -> list[str]:
    """Return where an answer differs from the recorded one."""
    if seen.status_code != recorded["status"]:
        return [f"status {seen.status_code}, recorded {recorded['status']}: {seen.text[:300]}"]
    found = [
        f"{name}: {seen.headers.get(name)!r}, recorded {recorded['headers'].get(name)!r}"
        for name in _COMPARED_HEADERS
        if _comparable(seen.headers.get(name)) != _comparable(recorded["headers"].get(name))
    ]
    body = recorded["body"]
    if isinstance(body, dict) and "code" in body and recorded["status"] >= 400:
        return found + list(_compared_errors(body, seen.json()))
    if body is None or isinstance(body, str):
        return found
    return found + list(compared(body, seen.json(), "body"))


def _comparable(header: str | None) -> str | None:
    """Return a header without what cannot be the same: credentials and signatures come back in links."""
    return header and _SECRET.sub(r"\1", header)


def _compared_errors(recorded: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """Errors agree when their codes do, the parameters they name, and the other record in the way."""
    yield from compared(recorded["code"], seen["code"], "code")
    left, right = recorded["data"], seen["data"]
    if not isinstance(left, dict) or not isinstance(right, dict):
        yield from compared(left, right, "data")
        return
    for name in ("status", "resource_id", "unique_sku"):
        yield from compared(left.get(name), right.get(name), f"data.{name}")
    if recorded["code"] != "internal_server_error":
        yield from compared(left.get("params"), right.get("params"), "data.params")


def compared(recorded: Any, seen: Any, place: str) -> Iterator[str]:
    """Yield where a value differs, by its place in the answer."""
    name = place.rpartition(".")[2]
    if name in _NOT_COMPARED:
        return
    if isinstance(recorded, dict) and isinstance(seen, dict):
        if "error" in recorded and "error" in seen:
            yield from _compared_errors(recorded["error"], seen["error"])
            return
        if recorded.keys() != seen.keys():
            missing, extra = sorted(recorded.keys() - seen.keys()), sorted(seen.keys() - recorded.keys())
            yield f"{place}: without {missing}, with {extra}"
        for key in recorded.keys() & seen.keys():
            if not (key == "id" and "meta_data" in place):
                yield from compared(recorded[key], seen[key], f"{place}.{key}")
    elif isinstance(recorded, list) and isinstance(seen, list):
        if len(recorded) != len(seen):
            yield f"{place}: {len(seen)} items, recorded {len(recorded)}"
        for index, (left, right) in enumerate(zip(recorded, seen, strict=False)):
            yield from compared(left, right, f"{place}[{index}]")
    elif not _same(recorded, seen):
        yield f"{place}: {seen!r}, recorded {recorded!r}"


def _same(recorded: Any, seen: Any) -> bool:
    if type(recorded) is not type(seen):
        return False
    if isinstance(recorded, str) and _TIME.fullmatch(recorded):
        return _TIME.fullmatch(seen) is not None and abs(_seconds(recorded) - _seconds(seen)) <= _TOLERANCE_SECONDS
    return bool(recorded == seen)
