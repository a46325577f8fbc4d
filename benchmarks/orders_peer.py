"""A shop with many orders in a process of its own: the lists of orders of WooCommerce, each answered after 5 ms.

What an order looks like is taken from the strict stand-in; there is a new one for each number, and none is kept.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.woocommerce.order_view import order_view
from sync_pipelines.sandbox.woocommerce.seeds import seed_bulk
from sync_pipelines.sandbox.woocommerce.world import ShopWorld

LATENCY = 0.005
LINES = 3
_FIRST = 1_000


class OrdersPeer:
    """The ASGI application. Anybody may ask; it counts how often."""

    def __init__(self, orders: int) -> None:
        self.requests = 0
        self._orders = orders
        self._pattern = _pattern()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a list."""
        await asyncio.sleep(LATENCY)
        self.requests += 1
        asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        first = int(asked.get("offset", "0"))
        size = int(asked["per_page"])
        body = orjson.dumps(self.orders(first, size, asked["_fields"].split(",")))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-WP-Total": str(self._orders),
            "X-WP-TotalPages": str(-(-self._orders // size)),
        }
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def orders(self, first: int, size: int, fields: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return orders as the shop tells them, all fields or some."""
        names = self._pattern if fields is None else fields
        view = {name: self._pattern[name] for name in names if name in self._pattern}
        return [_order(view, number) for number in range(_FIRST + first, _FIRST + min(first + size, self._orders))]


def _pattern() -> dict[str, Any]:
    world = ShopWorld()
    seed_bulk(world, products=LINES, customers=1)
    lines = [{"product_id": product, "quantity": 1 + index} for index, product in enumerate(world.products)]
    return order_view(world, world.add_order(line_items=lines, status="processing"), "view")


def _order(view: dict[str, Any], number: int) -> dict[str, Any]:
    order = {**view, "id": number}
    if "line_items" in view:
        order["number"] = str(number)
        order["line_items"] = [{**line, "id": number * 10 + at} for at, line in enumerate(view["line_items"])]
    return order


class ServedOrders:
    """The shop in its process.

    Attributes:
        url: where it is served.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._process = process

    @property
    def requests(self) -> int:
        """How many requests it has answered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def orders_peer(orders: int) -> Iterator[ServedOrders]:
    """Serve a shop with so many orders for the time of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.orders_peer", str(orders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the shop of the benchmark did not start")
        yield ServedOrders(process, url)
    finally:
        process.stdin.close()
        process.wait()


def main(orders: int) -> None:
    """Serve until standard input ends."""
    peer = OrdersPeer(orders)
    with serve(peer) as url:
        print(url, flush=True)
        for _ in sys.stdin:
            print(peer.requests, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
