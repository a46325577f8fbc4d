"""The commerce pipeline's peers with the demo's data: a WooCommerce shop and an Odoo server, both kept on disk.

They remember their state as the other stand-ins do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.background import repeated
from sync_pipelines.sandbox.keeping import SavingWrites, restored, save, served
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn, OdooWorld, demo_world
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ShopWorld, WooCommerceStandIn, seed_demo

SHOP_PORT = 8020
ODOO_PORT = 8069
"""Odoo's usual port."""
CONNECTION_NAME = "nordwind"

_KEY_VARIABLE, _SECRET_VARIABLE, _ODOO_VARIABLE = "DEMO_SHOP_KEY", "DEMO_SHOP_SECRET", "DEMO_ODOO_KEY"
_TRIM_SECONDS = 60.0
_KEPT_LOG = 500


@dataclass(frozen=True, slots=True)
class CommercePeers:
    """Base URLs of the running peers."""

    shop: str
    odoo: str


def commerce_connections(peers: CommercePeers) -> dict[str, Any]:
    """Return the section of a connections file for the demo's shop; secrets are references."""
    found = {
        "name": CONNECTION_NAME,
        "organization": CONNECTION_NAME,
        "woocommerce": {
            "url": peers.shop,
            "consumer_key": f"env:{_KEY_VARIABLE}",
            "consumer_secret": f"env:{_SECRET_VARIABLE}",
            "weight_unit": "lbs",
        },
        "odoo": {"url": peers.odoo, "key": f"env:{_ODOO_VARIABLE}", "weight_unit": "lbs"},
    }
    return {"commerce": [found]}


def commerce_secrets() -> dict[str, str]:
    """Return the variables that :func:`commerce_connections` refers to; they are invented and open no door."""
    return {
        _KEY_VARIABLE: DEMO_KEY.consumer_key,
        _SECRET_VARIABLE: DEMO_KEY.consumer_secret,
        _ODOO_VARIABLE: SYNC_KEY,
    }


@contextlib.contextmanager
def commerce_peers(folder: Path, *, shop_port: int = SHOP_PORT, odoo_port: int = ODOO_PORT) -> Iterator[CommercePeers]:
    """Run the peers on loopback until the block is left.

    Arguments:
        folder: where their state is kept; made when it is missing.
        shop_port, odoo_port: preferred ports; a taken one is replaced by a free one.

    Raises:
        StateUnreadable: what is in the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shop = restored(folder / "shop.pickle", ShopWorld, _demo_shop)
    odoo = restored(folder / "odoo.pickle", OdooWorld, demo_world)

    def keep_shop() -> None:
        with shop.guard:
            save(shop, folder / "shop.pickle")

    def keep_odoo() -> None:
        with odoo.guard:
            save(odoo, folder / "odoo.pickle")

    def keep_odoo_if_written() -> None:
        # Reads are POST requests as well.
        with odoo.guard:
            written = bool(odoo.writes)
            odoo.calls.clear()
            if written:
                save(odoo, folder / "odoo.pickle")

    def trim() -> None:
        for world in (shop, odoo):
            del world.requests[:-_KEPT_LOG]

    keep_shop()
    keep_odoo()
    shop_app = SavingWrites(SavingWrites(WooCommerceStandIn(shop).app, "/wp-json/", keep_shop), "/_sandbox/", keep_shop)
    odoo_app = SavingWrites(
        SavingWrites(OdooStandIn(odoo).app, "/json/2/", keep_odoo_if_written), "/_sandbox/", keep_odoo
    )
    with contextlib.ExitStack() as stack:
        stack.callback(keep_shop)
        stack.callback(keep_odoo)
        shop_url = served(stack, shop_app, shop_port)
        # Requests are signed for the address that the shop has for itself.
        shop.site_url = shop_url
        odoo_url = served(stack, odoo_app, odoo_port)
        stack.enter_context(repeated(trim, _TRIM_SECONDS))
        yield CommercePeers(shop_url, odoo_url)


def _demo_shop() -> ShopWorld:
    world = ShopWorld()
    seed_demo(world)
    return world
