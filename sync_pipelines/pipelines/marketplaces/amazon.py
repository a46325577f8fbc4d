"""Amazon as a marketplace: one seller in one region, whose stores are asked about together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic import Field, field_validator

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.marketplace_port import CallLimit, Page, Watermark
from sync_pipelines.core.marketplaces import Order, Product
from sync_pipelines.pipelines.connection_fields import HttpUrl, Limits
from sync_pipelines.pipelines.marketplaces.amazon_listings import ListingReading
from sync_pipelines.pipelines.marketplaces.amazon_orders import OrderReading
from sync_pipelines.pipelines.marketplaces.marketplace import Access, Marketplace, Opening
from sync_pipelines.settings import SecretReference
from sync_pipelines.systems.amazon import LIMITS, TOKEN_URL, LoginKeys, SellingPartner, amazon_session

MOST_STORES = 50
_SEARCH_ORDERS = "searchOrders"


class AmazonAccess(Access):
    """A seller in one region.

    Attributes:
        region: ``na``, ``eu`` (with Africa, the Emirates, India and Turkey) or ``fe`` (Japan, Australia, Singapore).
        seller_id: the merchant token of Seller Central.
        marketplaces: ids of the stores, e.g. ``A1PA6795UKMFR9`` for Germany. A product that several of them list is
            stored as the first one has it.
        client_id, client_secret, refresh_token: of the application, and of the seller's consent to it.
        refunds: whether Finances is asked, for which the application needs the role.
        search_orders: rate and burst of the list of orders, where Amazon has granted more than the default.
        url, token_url: other addresses than Amazon's own, e.g. of its sandbox.
        timeout_seconds: how long each step of a request may take.
    """

    region: Literal["na", "eu", "fe"]
    seller_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9]+$")
    marketplaces: tuple[str, ...] = Field(min_length=1, max_length=MOST_STORES)
    client_id: str = Field(min_length=1)
    client_secret: SecretReference
    refresh_token: SecretReference
    refunds: bool = True
    search_orders: Limits = Limits(requests_per_second=LIMITS[_SEARCH_ORDERS].rate, burst=20)
    url: HttpUrl | None = None
    token_url: HttpUrl = TOKEN_URL
    timeout_seconds: float = Field(default=60, gt=0)

    @field_validator("marketplaces")
    @classmethod
    def _are_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not one.isalnum() or not one.isascii()]:
            raise ValueError(f"{wrong[0]!r} is not an id of a store, such as ATVPDKIKX0DER")
        if len(set(value)) != len(value):
            raise ValueError("a store is named twice")
        return value

    @property
    def endpoint(self) -> str:
        """Address of the region."""
        return self.url or f"https://sellingpartnerapi-{self.region}.amazon.com"

    @property
    def server(self) -> str:
        """Region, application and seller: by them Amazon counts calls."""
        return f"{urlsplit(self.endpoint).netloc} {self.region} {self.client_id} {self.seller_id}"


@dataclass(frozen=True, slots=True)
class AmazonAdapter:
    """Reads a seller's orders and listings. Fills in ``core.marketplace_port.Adapter``."""

    seller: SellingPartner
    orders: OrderReading
    listings: ListingReading

    async def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Yield orders by their time of change, and those of which a refund became known."""
        async for page in self.orders.since(watermark):
            yield page

    async def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Yield listings by their time of change, once a day all of them."""
        async for page in self.listings.since(watermark):
            yield page

    async def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Yield the orders that were placed or changed in a window."""
        async for page in self.orders.between(first, last):
            yield page

    async def check(self) -> list[str]:
        """Return what is wrong with the connection. The orders' budget is too small to be spent on this."""
        found = []
        for store in self.listings.stores:
            try:
                await self.seller.listings(store, most=1)
            except PeerError as error:
                found.append(f"{store}: {error}")
        return found


def _calls(access: AmazonAccess) -> Mapping[str, CallLimit]:
    granted = access.search_orders
    orders = replace(LIMITS[_SEARCH_ORDERS], rate=granted.requests_per_second, burst=float(granted.burst))
    return {**LIMITS, _SEARCH_ORDERS: orders}


@asynccontextmanager
async def _open(access: AmazonAccess, opening: Opening) -> AsyncIterator[AmazonAdapter]:
    keys = LoginKeys(access.client_id, access.client_secret.reveal(), access.refresh_token.reveal())
    async with amazon_session(
        access.endpoint,
        access.token_url,
        keys,
        opening.throttle,
        opening.clock,
        timeouts=httpx.Timeout(access.timeout_seconds, connect=5.0),
        read_delay=opening.read_delay,
    ) as session:
        seller = SellingPartner(session, access.seller_id, access.marketplaces)
        orders = OrderReading(seller, access.region, opening.clock, access.refunds)
        listings = ListingReading(seller, access.region, access.marketplaces, opening.clock)
        yield AmazonAdapter(seller, orders, listings)


AMAZON = Marketplace("amazon", "Amazon", AmazonAccess, _calls, _open)
