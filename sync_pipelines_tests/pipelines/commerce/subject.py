"""Products as subjects of the conformance kit: into Odoo, and into the shop.

A run of commerce brings either system to the merged records by an ordinary one-way pair. Here it is that pair, with
every policy that it has, and the system across in the place of the merged records: what the target must be told, shows
and refuses is the same. What is merged, and what comes of two people, is in the tests of two-way pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.two_way import Side as System
from sync_pipelines.engine.ports import Pair, Target
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS, open_shop
from sync_pipelines.pipelines.commerce.pairs import pair_of
from sync_pipelines.pipelines.commerce.products.odoo_side import OdooProducts
from sync_pipelines.pipelines.commerce.products.woocommerce_side import WooCommerceProducts
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn
from sync_pipelines.sandbox.rewriting import Lie
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.model import ApiKey
from sync_pipelines.settings import Secret
from sync_pipelines.systems.transport import READ_DELAY
from sync_pipelines_tests.conformance.mishaps import hinder_served, skewed_served
from sync_pipelines_tests.conformance.subject import (
    EVERYTHING,
    USUAL,
    Capability,
    Mishap,
    Opener,
    Opening,
    Registration,
    ServedPeer,
    Side,
    Skew,
    Step,
)
from sync_pipelines_tests.pipelines.commerce.owners import Bookkeeper, Owner, Shopkeeper

SHOP_KEY = ApiKey("ck_5ec2e7" + "0a" * 17, "cs_5ec2e7" + "05" * 17)
ODOO_KEY = "5ec2e7" + "3c" * 17
"""Keys of these subjects' own, recognizable wherever they turn up."""
SYSTEMS: Mapping[Side, System] = {"left": System.LEFT, "right": System.RIGHT}
_MODELS = "(product.product|product.template)"
_ALL = 10_000


@asynccontextmanager
async def _open(
    connection: ShopConnection, into: System, page_size: int | None, opening: Opening, engine: Engine
) -> AsyncIterator[Pair]:
    pause = READ_DELAY if opening.read_delay_seconds is None else opening.read_delay_seconds
    async with open_shop(connection, engine, read_delay=pause) as opened:
        both_ways = (await pair_of(opened, EntityType.PRODUCTS, engine)).pair
        pair = both_ways.one_way(into, engine)
        across = both_ways.left if into is System.RIGHT else both_ways.right
        yield replace(
            pair,
            left=_paged(across, page_size),
            right=_paged(pair.right, page_size),
            peers=(both_ways.peer(into.other), both_ways.peer(into)),
            **{"guard": GuardLimits(enabled=False), **opening.policies},
        )


def _paged(side: Target, page_size: int | None) -> Target:
    """Return a side that reads by smaller pages: neither system decides about that by itself."""
    if page_size is None:
        return side
    assert isinstance(side, OdooProducts | WooCommerceProducts)
    return type(side)(side._client, side._settings, page_size=page_size)  # type: ignore[arg-type]  # each its own


@dataclass
class ProductsSubject:
    """Simple products of one system, and those made of them in the other.

    Attributes:
        into: the system that is written to.
    """

    into: System
    shop: WooCommerceStandIn
    odoo: OdooStandIn
    urls: tuple[str, str]
    engine: Engine
    secrets: tuple[str, ...] = (SHOP_KEY.consumer_key, SHOP_KEY.consumer_secret, ODOO_KEY)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    page_size: int | None = None
    spoiled: dict[str, str] = field(default_factory=dict)
    owners: Mapping[System, Owner] = field(init=False)

    def __post_init__(self) -> None:
        self.owners = {System.LEFT: Shopkeeper(self.shop.world), System.RIGHT: Bookkeeper(self.odoo.world)}

    @property
    def pair_name(self) -> str:
        return f"{NAME}_{PEERS[0 if self.into is System.LEFT else 1]}"

    @property
    def scope_name(self) -> str:
        return f"nordwind.{EntityType.PRODUCTS}"

    @property
    def source(self) -> Owner:
        """Who keeps the products that are brought across."""
        return self.owners[self.into.other]

    @property
    def target(self) -> Owner:
        """Who keeps those that are made of them."""
        return self.owners[self.into]

    @property
    def peers(self) -> Mapping[Side, ServedPeer]:
        served = (self._shop_served(), self._odoo_served())
        left, right = served if self.into is System.RIGHT else served[::-1]
        return {"left": left, "right": right}

    def opener(self, opening: Opening = USUAL) -> Opener:
        return partial(_open, self._connection(opening), self.into, self.page_size, opening)

    def add(self, count: int = 1) -> list[str]:
        numbers = [next(self.numbers) for _ in range(count)]
        return [self.source.add(f"SKU-{number}", f"Mug {number}", f"{number}.50") for number in numbers]

    def edit(self, key: str) -> None:
        self.source.edit(key, price=f"{next(self.numbers)}.25")

    def rename(self, key: str, text: str) -> None:
        # Half a surrogate pair has no UTF-8; both write U+FFFD for it.
        self.source.edit(
            key, name="".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= one <= "\udfff" else one for one in text)
        )

    def change_state(self, key: str) -> None:
        self.source.toggle(key)

    def remove(self, key: str) -> None:
        self.source.remove(key)

    def bring_back(self, key: str) -> None:
        self.source.bring_back(key)

    def spoil(self, key: str) -> None:
        raise NotImplementedError("a product that has no form across is withheld, not invalid")

    def mend(self, key: str) -> None:
        raise NotImplementedError("see spoil")

    def natural_key(self, key: str) -> str:
        return self.source.sku(key)

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        return self.target.shown()

    def traces(self) -> Any:
        return None

    def in_service(self, natural_key: str) -> int:
        return self.target.in_service(natural_key)

    def edit_right(self, natural_key: str) -> None:
        self.target.edit(self._newest(natural_key), weight=f"{next(self.numbers)}.5")

    def overwrite_right(self, natural_key: str) -> None:
        self.target.edit(self._newest(natural_key), price=f"{next(self.numbers)}.75")

    def delete_right(self, natural_key: str) -> None:
        self.target.remove(self._newest(natural_key))

    def double_right(self, natural_key: str) -> None:
        self.target.double(self._newest(natural_key))

    def stray(self) -> str:
        number = 9000 + next(self.numbers)
        self.target.add(f"SKU-{number}", "made by hand", "1.00")
        return f"SKU-{number}"

    def hinder(self, step: Step, mishap: Mishap, *, times: int | None = 1, skip: int = 0) -> None:
        hinder_served(self.peers["right"], step, mishap, times=times, skip=skip)

    def relent(self) -> None:
        for peer in self.peers.values():
            peer.faults.clear()

    def show_pages_of(self, rows: int) -> None:
        self.page_size = None if rows >= _ALL else rows

    def skewed(self, skew: Skew) -> AbstractContextManager[None]:
        if skew is Skew.TOTAL_TOO_LARGE and self.into is System.RIGHT:
            return self._miscounted()
        return skewed_served(self.peers["right"], skew)

    def commits(self) -> int:
        return self.target.commits()

    def creates(self) -> int:
        return self.target.creates()

    @contextmanager
    def _miscounted(self) -> Iterator[None]:
        # Odoo is asked for the number of its rows beside the rows.
        body = str(len(self.odoo.world.rows("product.product")) + 1)
        path, kind = "/product.product/search_count$", "application/json"
        fault = self.odoo.faults.add("status", status=200, path=path, content_type=kind, body=body)
        yield
        self.odoo.faults.remove(fault)

    def _newest(self, natural_key: str) -> str:
        return self.target.keys(natural_key)[-1]

    def _shop_served(self) -> ServedPeer:
        products = "^/wp-json/wc/v3/products"
        return ServedPeer(
            PEERS[0],
            self.urls[0],
            self.shop.faults,
            self.shop.world.requests,
            listing=f"{products}$",
            listing_query="orderby=id",
            create=f"{products}$",
            change=rf"{products}/\d+$",
            change_of=f"{products}/{{key}}$",
            # Its pages overlap by a row: one that moves to the next page is there anyway.
            twice=Lie.COVERED,
        )

    def _odoo_served(self) -> ServedPeer:
        return ServedPeer(
            PEERS[1],
            self.urls[1],
            self.odoo.faults,
            self.odoo.world.requests,
            listing="^/json/2/product.product/search_read$",
            # A listing goes on after an id; what is looked up is so by its code.
            listing_sent='"id", ?">"',
            create="^/json/2/product.product/create$",
            change=f"^/json/2/{_MODELS}/write$",
            change_of=f"^/json/2/{_MODELS}/write$",
            change_sent_of=r'"ids": ?\[{key}\]',
            reads="POST",
            record="^/json/2/product.product/read$",
        )

    def _connection(self, opening: Opening) -> ShopConnection:
        left, right = self.urls if self.into is System.RIGHT else self.urls[::-1]
        found: dict[Side, str] = {"left": left, "right": right, **opening.urls}
        timeout = {"timeout_seconds": opening.timeout_seconds}
        limited = {"limits": {"requests_per_second": opening.requests_per_second, "burst": opening.burst}}
        shop = {"consumer_key": Secret(SHOP_KEY.consumer_key), "consumer_secret": Secret(SHOP_KEY.consumer_secret)}
        across: dict[System, Side] = {self.into: "right", self.into.other: "left"}
        limits: dict[System, dict[str, Any]] = {self.into: limited, self.into.other: {}}
        odoo = {"key": Secret(ODOO_KEY), "protocol": "json2"}
        row: dict[str, Any] = {
            "name": "nordwind",
            "organization": "org-1",
            "woocommerce": {"url": found[across[System.LEFT]], **shop, **timeout, **limits[System.LEFT]},
            "odoo": {"url": found[across[System.RIGHT]], **odoo, **timeout, **limits[System.RIGHT]},
            "entities": ["customers", "products"],
            # Each by itself: a request that many records share would share its refusal, too.
            "batch": 1,
        }
        return ShopConnection.model_validate(row, context={"environment": {}})


@contextmanager
def _opened(into: System, engine: Engine) -> Iterator[ProductsSubject]:
    shop, odoo = WooCommerceStandIn(ShopWorld()), OdooStandIn()
    shop.world.access.add(SHOP_KEY)
    user = odoo.world.user_of(SYNC_KEY)
    assert user is not None
    odoo.world.add_key(user, ODOO_KEY)
    with shop.running() as shop_url, odoo.running() as odoo_url:
        yield ProductsSubject(into, shop, odoo, (shop_url, odoo_url), engine)


_CAN = EVERYTHING - {
    Capability.STATES,
    Capability.INVALID,
    Capability.DRAFTS,
    Capability.BLANKS,
    Capability.RETIRES_UNTRACKED,
}
# Runs of both ways are killed in tests of their own.
INTO_ODOO = Registration(
    "commerce-odoo", partial(_opened, System.RIGHT), can=_CAN, dies_at=frozenset({"after-call", "before-settle"})
)
INTO_SHOP = Registration(
    "commerce-woocommerce", partial(_opened, System.LEFT), can=_CAN, dies_at=frozenset({"after-call"})
)
