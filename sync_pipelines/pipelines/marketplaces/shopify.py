"""Shopify as a marketplace, over the GraphQL Admin API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, field_validator, model_validator

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.marketplace_port import CallLimit, Page, RecordT, Scan, Watermark
from sync_pipelines.core.marketplaces import ItemError, Order, Product
from sync_pipelines.pipelines.connection_fields import HttpUrl, Limits
from sync_pipelines.pipelines.marketplaces import shopify_records
from sync_pipelines.pipelines.marketplaces.marketplace import Access, Marketplace, Opening
from sync_pipelines.settings import OptionalSecretReference
from sync_pipelines.systems import shopify
from sync_pipelines.systems.shopify.listing import Node

OVERLAP = timedelta(minutes=5)
"""Searches are answered by an index that was seen to lag ten seconds, and to miss the bounds of a window."""
SCAN_EVERY = timedelta(days=1)
"""What was deleted shows only in a list of everything, as does stock that changed without its product."""
BULK_GAP = timedelta(days=1)
"""A longer gap is read in bulk: pages cost of a budget of which a large shop's orders are more than an hour's."""
TAKEN_UP_WITHIN = timedelta(days=1)
"""An operation that an earlier run left is taken up; an older one would tell of changes that are read by now anyway."""
VISIBLE = timedelta(days=59)
"""Without read_all_orders, orders of the last 60 days are shown. From which time these count is not documented."""
_VERSION = re.compile(r"20\d\d-(01|04|07|10)")

Converted = tuple[Sequence[RecordT], list[ItemError]]


class ShopifyAccess(Access):
    """A shop, and an app that may read it: either with client credentials or with a permanent token.

    Attributes:
        url: ``https://<shop>.myshopify.com``.
        client_id, client_secret: of an app of the shop's own organization.
        access_token: of a custom app made before 2026.
        api_version: which the app was tried with; a retired one is refused.
        timeout_seconds: how long each step of a request may take.
        limits: beside the shop's own budget, which is always kept.
    """

    url: HttpUrl
    client_id: str | None = None
    client_secret: OptionalSecretReference = None
    access_token: OptionalSecretReference = None
    api_version: str = "2026-10"
    timeout_seconds: float = Field(default=60, gt=0)
    limits: Limits = Limits()

    @field_validator("api_version")
    @classmethod
    def _is_a_version(cls, value: str) -> str:
        if not _VERSION.fullmatch(value):
            raise ValueError(f"{value!r} is no version of the API, such as 2026-10")
        return value

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        pair = (self.client_id is not None, self.client_secret is not None)
        if pair not in ((True, True), (False, False)) or all(pair) == (self.access_token is not None):
            raise ValueError("give either client_id and client_secret or access_token")
        return self

    @property
    def server(self) -> str:
        """The shop's host."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class _Kind(Generic[RecordT]):
    """How a stream is read.

    Attributes:
        rescans: whether the daily scan reads all records and not only their keys.
        ordered_from: orders before it are invisible.
    """

    resource: shopify.Resource
    convert: Callable[[Sequence[Node]], Converted[RecordT]]
    rescans: bool = False
    ordered_from: datetime | None = None


class ShopifyAdapter:
    """Reads a shop's orders and products. Fills in ``core.marketplace_port.Adapter``.

    Lists are read in ascending order of the time of change, so the watermark moves with every page: to the latest
    change that was seen, but not beyond the beginning of the reading. Every reading begins an overlap earlier.
    """

    def __init__(self, session: shopify.ShopifySession, clock: Callable[[], datetime]) -> None:
        self._session = session
        self._clock = clock

    async def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Yield orders by their time of change; once a day the keys of all orders."""
        shop = await shopify.read_shop(self._session)
        oldest = None if shop.shows_all_orders else self._clock() - VISIBLE
        kind = _Kind(shopify.ORDERS, shopify_records.orders_of, ordered_from=oldest)
        async for page in self._changed(kind, watermark):
            yield page

    async def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Yield products by their time of change; once a day all of them."""
        currency = (await shopify.read_shop(self._session)).currency

        def convert(nodes: Sequence[Node]) -> Converted[Product]:
            return shopify_records.products_of(nodes, currency)

        async for page in self._changed(_Kind(shopify.PRODUCTS, convert, rescans=True), watermark):
            yield page

    async def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Yield the orders that were placed or changed in a window."""
        reader = shopify.Reader(self._session, shopify.ORDERS)
        for wanted in (shopify.Range("created_at", first, last), shopify.Range("updated_at", first, last)):
            async for nodes in reader.pages(wanted):
                orders, errors = shopify_records.orders_of(nodes)
                yield Page(tuple(orders), Watermark({}, None), tuple(errors))

    async def check(self) -> list[str]:
        """Return what is wrong with the connection."""
        try:
            shop = await shopify.read_shop(self._session)
        except PeerError as error:
            return [str(error)]
        return [f"the app lacks the scope {scope}" for scope in shop.missing_scopes()]

    async def _changed(self, kind: _Kind[RecordT], watermark: Watermark | None) -> AsyncIterator[Page[RecordT]]:
        state = {} if watermark is None else dict(watermark.state)
        through = None if watermark is None else watermark.through
        bulk = shopify.BulkReader(self._session, kind.resource)
        began, finished = await self._left(bulk, state.pop("bulk", None))
        if finished is not None:
            # It is taken up once: should its file be broken, the next run starts another.
            yield Page((), Watermark(dict(state), through))
        since = datetime.fromisoformat(state["since"]) if "since" in state else None
        scan_due = "scanned" not in state or datetime.fromisoformat(state["scanned"]) <= began - SCAN_EVERY
        # A reading of everything that was broken off goes on as one of changes, and proves nothing about deletions.
        everything = since is None or (kind.rescans and scan_due)
        wanted = shopify.Range("updated_at", None if everything or since is None else since - OVERLAP)
        if finished is None and (everything or since is None or began - since > BULK_GAP):
            operation = await bulk.start(wanted)
            if operation is not None:
                # Kept before it is waited for: a run that takes over waits for it as well, instead of for a second.
                left = {"id": operation, "began": began.isoformat()}
                yield Page((), Watermark({**state, "bulk": left}, through))
                finished = await bulk.finished(operation)
        scan_id, latest = began.isoformat(), since
        reader = shopify.Reader(self._session, kind.resource)
        async for nodes in reader.pages(wanted) if finished is None else bulk.pages(finished):
            latest = _latest(nodes, latest)
            # A repeated reading of everything comes to the latest changes last: till then it may not move on.
            if latest is not None and (since is None or not everything):
                state["since"] = min(latest, began).isoformat()
            records, errors = kind.convert(nodes)
            scan = Scan(scan_id, shopify_records.keys_of(nodes)) if everything else None
            yield Page(tuple(records), Watermark(dict(state), through), tuple(errors), scan=scan)
        if not everything and scan_due:
            async for numbers in reader.ids():
                yield Page((), Watermark(dict(state), through), scan=Scan(scan_id, tuple(numbers)))
        if latest is not None:
            state["since"] = min(latest, began).isoformat()
        ends = None
        if everything or scan_due:
            state["scanned"] = began.isoformat()
            ends = Scan(scan_id, (), ends=True, ordered_from=kind.ordered_from)
        yield Page((), Watermark(state, began), scan=ends)

    async def _left(
        self, bulk: shopify.BulkReader, left: Mapping[str, str] | None
    ) -> tuple[datetime, shopify.Node | None]:
        """Return when the reading began, and the operation that an earlier run left behind, if it came to an end."""
        now = self._clock()
        if left is None:
            return now, None
        began = datetime.fromisoformat(left["began"])
        if began < now - TAKEN_UP_WITHIN:
            await bulk.cancel(left["id"])
            return now, None
        finished = await bulk.finished(left["id"])
        return (now, None) if finished is None else (began, finished)


def _latest(nodes: Sequence[Node], before: datetime | None) -> datetime | None:
    """Return the latest time of change among some records and those before them."""
    times = shopify_records.updated_times(nodes)
    return max(times if before is None else [*times, before], default=None)


def _calls(access: ShopifyAccess) -> Mapping[str, CallLimit]:
    return {"graphql": CallLimit(access.limits.requests_per_second, access.limits.burst)}


@asynccontextmanager
async def _open(access: ShopifyAccess, opening: Opening) -> AsyncIterator[ShopifyAdapter]:
    tokens: shopify.Tokens
    if access.access_token is not None:
        secrets: tuple[str, ...] = (access.access_token.reveal(),)
        tokens = shopify.PermanentToken(access.access_token.reveal())
    else:
        secrets = (access.client_secret.reveal(),)
        tokens = shopify.ClientCredentials(str(access.client_id), access.client_secret.reveal())
    throttle = opening.throttle("graphql")
    async with shopify.shopify_transport(
        access.url,
        throttle=throttle,
        secrets=secrets,
        timeout=httpx.Timeout(access.timeout_seconds, connect=5.0),
        read_delay=opening.read_delay,
    ) as transport:
        session = shopify.ShopifySession(transport, tokens, access.api_version, throttle=throttle)
        yield ShopifyAdapter(session, opening.clock)


SHOPIFY = Marketplace("shopify", "Shopify", ShopifyAccess, _calls, _open)
