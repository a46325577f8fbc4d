"""A Shopify shop to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Administered
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.shopify.application import shop_application
from sync_pipelines.sandbox.shopify.seeds import ANCHOR, seed_bulk, seed_demo
from sync_pipelines.sandbox.shopify.world import ShopifyWorld

ADMIN_PATH = "/_sandbox/shopify"


class ShopifyStandIn:
    """A strict stand-in of the GraphQL Admin API, as it is documented.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log, faults and routes of administration.
        shift: how far the demo's times were moved, whole seconds.
    """

    def __init__(self, world: ShopifyWorld | None = None) -> None:
        self.world = world or ShopifyWorld()
        self.faults = FaultInjector(shop_application(self.world))
        self.app: ASGIApp = Administered(
            RequestLog(self.faults, self.world.requests),
            ADMIN_PATH,
            {
                "next": lambda _: self.world.bring_forward(),
                "edit_order": lambda given: self.world.edit("orders", given["id"], **_rest(given)),
                "edit_product": lambda given: self.world.edit("products", given["id"], **_rest(given)),
                "delete_order": lambda given: self.world.delete("orders", given["id"]),
                "delete_product": lambda given: self.world.delete("products", given["id"]),
                "advance": lambda given: self.world.clock.advance(float(given["seconds"])),
            },
            self.world.describe,
            guard=self.world.guard,
        )
        self.shift = timedelta(0)

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
        timeline = self.world.timeline
        while timeline and timeline[0]["offset_minutes"] <= minutes:
            self._move_to(timeline[0]["offset_minutes"])
            self.world.happen(timeline.pop(0))
        self._move_to(minutes)

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


def _rest(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "id"}
