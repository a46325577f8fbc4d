"""A shop to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp

from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.rewriting import JsonArray
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.woocommerce.admin import administered
from sync_pipelines.sandbox.woocommerce.application import shop_application
from sync_pipelines.sandbox.woocommerce.seeds import seed_bulk, seed_demo
from sync_pipelines.sandbox.woocommerce.world import ShopWorld


class WooCommerceStandIn:
    """A strict stand-in of WooCommerce 11.0.1, REST v3.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: ShopWorld | None = None) -> None:
        self.world = world or ShopWorld()
        self.faults = FaultInjector(shop_application(self.world), JsonArray("X-WP-Total"))
        self.app: ASGIApp = administered(RequestLog(self.faults, self.world.requests), self.world)

    @classmethod
    def demo(cls) -> WooCommerceStandIn:
        """With the shop of the demo."""
        standin = cls()
        seed_demo(standin.world)
        return standin

    @classmethod
    def bulk(cls, products: int = 10_000, customers: int = 10_000, orders: int = 0) -> WooCommerceStandIn:
        """With as many made-up records as are asked for."""
        standin = cls()
        seed_bulk(standin.world, products=products, customers=customers, orders=orders)
        return standin

    @contextlib.contextmanager
    def running(self, *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve on loopback; gives the base URL, which is the shop's address from now on.

        Arguments:
            port: TCP port; 0 lets the system choose a free one.
            certificate: files of a certificate chain and its key, to serve over TLS; without it, only OAuth 1.0a is let
                in, as in real shops.
        """
        before = self.world.site_url
        with _served(self.app, port, certificate) as url:
            self.world.site_url = url
            try:
                yield url
            finally:
                self.world.site_url = before


@contextlib.contextmanager
def _served(app: ASGIApp, port: int, certificate: tuple[Path, Path] | None) -> Iterator[str]:
    if certificate is None:
        with serve(app, port=port) as url:
            yield url
    else:
        chain, key = certificate
        with serve(app, port=port, ssl_certfile=str(chain), ssl_keyfile=str(key)) as url:
            yield url.replace("http://", "https://", 1)
