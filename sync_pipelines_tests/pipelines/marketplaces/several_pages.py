"""An account at each marketplace whose orders come in several pages, with a fault at the second one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.sandbox.amazon import AmazonStandIn, AmazonWorld, made_up_order, refresh_token
from sync_pipelines.sandbox.amazon.seeds import made_up_listing
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.shopify import PERMANENT_TOKEN, ShopifyStandIn
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn, bulk_world
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.access import DEMO_KEY as SHOP_KEY
from sync_pipelines.settings import Secret
from sync_pipelines.store.marketplaces import streams
from sync_pipelines.store.marketplaces.tables import ITEMS, ORDERS, PRODUCTS
from sync_pipelines_tests.pipelines.marketplaces import amazon_sellers, shops, takealot_accounts
from sync_pipelines_tests.pipelines.marketplaces.shopify_shops import pulled as pulled_shopify
from sync_pipelines_tests.pipelines.marketplaces.shops import Pulled

PATIENCE = 60.0
"""Seconds that a page may take to be stored."""

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Paged(Pulled):
    """A connected account with several pages of orders, and a few products.

    Attributes:
        lists: what requests for each stream look like, in the words of a fault.
        locks_out: takes the access away.
        lets_in: gives it back.
        holds: how many records of each stream there are.
        stores_pages: whether a page of orders is stored before the next has come; Takealot's sales become orders when
            their window was read.
        answered: says what ``world.after`` is to wait for, the list of orders.
    """

    standin: Any
    lists: Mapping[Stream, Mapping[str, str]]
    answered: str
    locks_out: Callable[[], object]
    lets_in: Callable[[], object]
    holds: Mapping[Stream, int]
    stores_pages: bool = True

    def spoil(self, kind: str, **options: Any) -> None:
        """Arm a fault: orders come to their second page, products to none."""
        for stream, list_ in self.lists.items():
            self.standin.faults.add(kind, skip=1 if stream is Stream.ORDERS else 0, **list_, **options)

    def after_first_page(self, action: Callable[[], object]) -> None:
        """Do something when the first page of orders was answered, before the client knows."""
        self.standin.world.after(self.answered, action)

    def with_the_second_page(self, action: Callable[[], object]) -> None:
        """Do something when the second page of orders was answered and the first is stored, before the client knows."""

        def act() -> None:
            given_up = time.monotonic() + PATIENCE
            while self.stores_pages and not self.statuses() and time.monotonic() < given_up:
                time.sleep(0.02)
            action()

        self.standin.world.after(self.answered, act, skip=1)

    @property
    def stored_products(self) -> int:
        """How many products are stored."""
        ((number,),) = self.rows("SELECT count(*) FROM sync.marketplace_product WHERE deleted_at IS NULL")
        return int(number)

    def rest(self) -> None:
        """Let the time pass that the marketplace asked for, or that its breaker stays open."""
        with self.engine.begin() as transaction:
            transaction.execute(text("DELETE FROM sync.peer"))

    def said(self) -> list[str]:
        """Why streams failed or wait; empty when all is well."""
        with self.engine.connect() as connection:
            found = [streams.read(connection, self.state.id, stream) for stream in Stream]
        return [why for one in found for why in (one.last_error, one.waits) if why is not None]


def whole_rows(engine: Engine) -> Rows:
    """Return orders, items and products with all columns that come from the marketplace."""
    found: Rows = {}
    with engine.connect() as connection:
        for table in (ORDERS, ITEMS, PRODUCTS):
            columns = [f"to_jsonb({name})::text" for name in table.columns]
            columns += ["deleted_at IS NULL"] if table.deletable else []
            order = ", ".join(table.keys)
            rows = connection.execute(text(f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}"))
            found[table.name] = [tuple(row) for row in rows]
    return found


@contextmanager
def _takealot(engine: Engine, orders: int = 150) -> Iterator[Paged]:
    standin = TakealotStandIn(bulk_world(orders=orders, clock=Clock()))
    world = standin.world
    with standin.running() as url:
        yield Paged(
            takealot_accounts.connected(url),
            engine,
            standin,
            {Stream.ORDERS: {"path": "/sales$"}, Stream.PRODUCTS: {"path": "/offers$"}},
            "/sales$",
            lambda: world.replace_key("another-key-of-the-portal"),
            lambda: world.replace_key(DEMO_KEY),
            {Stream.ORDERS: orders, Stream.PRODUCTS: 3},
            stores_pages=False,
        )


@contextmanager
def _shopify(engine: Engine, orders: int = 25) -> Iterator[Paged]:
    standin = ShopifyStandIn.bulk(orders=orders, products=3)
    world = standin.world
    world.bulk_outcome = "BUSY"
    with pulled_shopify(engine, standin, access_token=Secret(PERMANENT_TOKEN)) as shop:
        yield Paged(
            shop.connection,
            engine,
            standin,
            {Stream.ORDERS: {"sent": r"query SyncOrders\("}, Stream.PRODUCTS: {"sent": r"query SyncProducts\("}},
            "SyncOrders",
            lambda: world.tokens.pop(PERMANENT_TOKEN),
            lambda: world.tokens.update({PERMANENT_TOKEN: None}),
            {Stream.ORDERS: orders, Stream.PRODUCTS: 3},
        )


@contextmanager
def _amazon(engine: Engine, orders: int = 12) -> Iterator[Paged]:
    world = AmazonWorld(page=min(100, orders // 3 + 1))
    for number in range(orders):
        made_up_order(world, number, minutes_ago=10 + orders - number)
    for number in range(12):
        made_up_listing(world, number, minutes_ago=600)
    standin = AmazonStandIn(world)
    consent = refresh_token("na")

    def withdraw() -> None:
        world.consents.clear()
        world.revoke_tokens()

    with standin.running() as urls:
        yield Paged(
            amazon_sellers.connected("acme-amazon", urls),
            engine,
            standin,
            {
                Stream.ORDERS: {"path": "/orders/2026-01-01/orders$"},
                Stream.PRODUCTS: {"path": "/listings/2021-08-01/items/"},
            },
            "/orders/2026-01-01/orders$",
            withdraw,
            lambda: world.consents.update({consent: "na"}),
            {Stream.ORDERS: orders, Stream.PRODUCTS: 12},
        )


@contextmanager
def _woocommerce(engine: Engine, orders: int = 150) -> Iterator[Paged]:
    standin = WooCommerceStandIn.bulk(products=3, customers=orders, orders=orders)
    access = standin.world.access
    with shops.pulled_shop(engine, standin) as shop:
        yield Paged(
            shop.connection,
            engine,
            standin,
            {Stream.ORDERS: {"path": "/orders$"}, Stream.PRODUCTS: {"path": "/products$"}},
            "/orders$",
            lambda: access.revoke(SHOP_KEY.consumer_key),
            lambda: access.add(SHOP_KEY),
            {Stream.ORDERS: orders, Stream.PRODUCTS: 3},
        )


PAGED: dict[str, Callable[..., AbstractContextManager[Paged]]] = {
    "takealot": _takealot,
    "shopify": _shopify,
    "amazon": _amazon,
    "woocommerce": _woocommerce,
}
"""By marketplace: what serves an account and connects it to a database. ``orders``: how many it has."""
