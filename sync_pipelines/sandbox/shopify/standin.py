"""A Shopify shop to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from starlette.types import ASGIApp

from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.shopify.application import shop_application
from sync_pipelines.sandbox.shopify.seeds import ANCHOR, load, seed_bulk, seed_demo
from sync_pipelines.sandbox.shopify.world import ShopifyWorld


class ShopifyStandIn:
    """A strict stand-in of the GraphQL Admin API, as it is documented.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
        shift: how far the demo's times were moved, whole seconds.
    """

    def __init__(self, world: ShopifyWorld | None = None) -> None:
        self.world = world or ShopifyWorld()
        self.faults = FaultInjector(shop_application(self.world))
        self.app: ASGIApp = RequestLog(self.faults, self.world.requests)
        self.shift = timedelta(0)
        self._played = 0

    @classmethod
    def demo(cls) -> ShopifyStandIn:
        """With the shop of the demo, as it would be now. What happens there next, :meth:`play` lets happen."""
        standin = cls()
        standin.shift = timedelta(seconds=int(standin.world.clock.now()) - int(ANCHOR.timestamp()))
        seed_demo(standin.world, standin.shift)
        return standin

    @classmethod
    def bulk(cls, orders: int = 100, products: int = 10) -> ShopifyStandIn:
        """With as many made-up records as are asked for."""
        standin = cls()
        seed_bulk(standin.world, orders, products)
        return standin

    def play(self, minutes: int) -> None:
        """Let time pass to so many minutes after the beginning, and happen what the demo has happen till then."""
        for event in load("timeline", self.shift):
            at = event["offset_minutes"]
            if not self._played < at <= minutes:
                continue
            self._move_to(at)
            kind = f"{event['kind']}s"
            if event["op"] == "delete":
                self.world.delete(kind, event["id"])
            else:
                self.world.put(kind, event["graphql"])
        self._move_to(minutes)
        self._played = minutes

    def _move_to(self, minutes: int) -> None:
        moment = ANCHOR + self.shift + timedelta(minutes=minutes)
        now = datetime.fromtimestamp(self.world.clock.now(), UTC)
        self.world.clock.advance(max(0.0, (moment - now).total_seconds()))

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[str]:
        """Serve on loopback; gives the base URL."""
        with serve(self.app, port=port) as url:
            self.world.url = url
            yield url
