"""A shop and an Odoo database that agree on many products and customers, each in a process of its own.

``python -m benchmarks.shop_peers shop 10000`` (or ``odoo``) prints its URL and serves until its standard input ends. To
each line of its standard input it answers with the number of requests so far.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn, OdooWorld, fresh_world
from sync_pipelines.sandbox.odoo.seeds import put
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ShopWorld, WooCommerceStandIn

NAME = "bench"
_BEFORE = "2026-01-01 00:00:00.000000"
_FIRST_PARTNER = 100


@dataclass(frozen=True)
class ServedPeer:
    """One of the two.

    Attributes:
        url: where it is served.
    """

    url: str
    _asks: IO[str]
    _told: IO[str]

    @property
    def requests(self) -> int:
        """How many requests it has received."""
        self._asks.write("\n")
        self._asks.flush()
        return int(self._told.readline())


def connection(shop: str, odoo: str, **changes: Any) -> ShopConnection:
    """Return the connection between the two."""
    return ShopConnection.model_validate(
        {
            "name": NAME,
            "organization": "bench",
            "woocommerce": {"url": shop, "consumer_key": "env:KEY", "consumer_secret": "env:SECRET"},
            "odoo": {"url": odoo, "key": "env:ODOO"},
            **changes,
        },
        context={"environment": {"KEY": DEMO_KEY.consumer_key, "SECRET": DEMO_KEY.consumer_secret, "ODOO": SYNC_KEY}},
    )


@contextmanager
def peers(number: int) -> Iterator[tuple[ServedPeer, ServedPeer]]:
    """Run both for the time of the block, with this many products and customers that agree."""
    with _process("shop", number) as shop, _process("odoo", number) as odoo:
        yield shop, odoo


@contextmanager
def _process(which: str, number: int) -> Iterator[ServedPeer]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.shop_peers", which, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the {which} of the benchmark did not start")
        yield ServedPeer(url, process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait()


def _odoo(shop: ShopWorld) -> OdooWorld:
    """Return a database with everything that a shop has, as it looks there."""
    world = fresh_world()
    for product in shop.products.values():
        _put_product(world, product.id, product.values)
    [country] = world.find("res.country", ["code", "=", "DE"])
    emails = [customer for customer in shop.customers.values() if customer.role == "customer"]
    for number, customer in enumerate(emails, _FIRST_PARTNER):
        place = customer.billing
        name = f"{customer.first_name} {customer.last_name}"
        values = {
            "name": name,
            "complete_name": name,
            "active": True,
            "type": "contact",
            "lang": "en_US",
            "email": customer.email,
            "email_normalized": customer.email,
            "street": place["address_1"],
            "zip": place["postcode"],
            "city": place["city"],
            "country_id": country,
        }
        put(world, "res.partner", number, _BEFORE, **values)
    return world


def _put_product(world: OdooWorld, number: int, values: Any) -> None:
    shown = {
        "name": values["name"],
        "default_code": values["sku"],
        "list_price": float(values["regular_price"]),
        "weight": float(values["weight"]),
    }
    fixed = {"type": "consu", "is_storable": True, "sale_ok": True, "purchase_ok": True, "uom_id": 1, "taxes_id": (1,)}
    put(world, "product.template", number, _BEFORE, active=True, **shown, **fixed)
    own = {name: shown[name] for name in ("default_code", "weight")}
    put(world, "product.product", number, _BEFORE, active=True, product_tmpl_id=number, **own)
    stock = {"product_id": number, "location_id": 5, "quantity": float(values["stock_quantity"])}
    put(world, "stock.quant", number, _BEFORE, **stock)


def main(which: str, number: int) -> None:
    """Serve one of the two until standard input ends."""
    shop = WooCommerceStandIn.bulk(products=number, customers=number)
    served: WooCommerceStandIn | OdooStandIn = shop if which == "shop" else OdooStandIn(_odoo(shop.world))
    running: AbstractContextManager[str] = served.running()
    with running as url:
        print(url, flush=True)
        for _ in sys.stdin:
            print(len(served.world.requests), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
