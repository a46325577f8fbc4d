"""A seller on Amazon to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Administered
from sync_pipelines.sandbox.amazon.application import TOKEN_PATH, amazon_application
from sync_pipelines.sandbox.amazon.seeds import demo_world
from sync_pipelines.sandbox.amazon.world import AmazonWorld
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.server import serve

ADMIN_PATH = "/_sandbox/amazon"


@dataclass(frozen=True, slots=True)
class AmazonUrls:
    """Addresses of a running stand-in."""

    base: str

    @property
    def token(self) -> str:
        """Where tokens are asked for."""
        return self.base + TOKEN_PATH

    def region(self, name: str) -> str:
        """Endpoint of a region."""
        return f"{self.base}/{name}"


class AmazonStandIn:
    """A strict stand-in of the Selling Partner API.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: AmazonWorld | None = None) -> None:
        self.world = world or AmazonWorld()
        self.faults = FaultInjector(amazon_application(self.world))
        self.app: ASGIApp = Administered(
            RequestLog(self.faults, self.world.requests),
            ADMIN_PATH,
            {
                "next": lambda _: self.world.bring_forward(),
                "advance": lambda given: self.world.clock.advance(float(given["seconds"])),
                "revoke_tokens": lambda _: self.world.revoke_tokens(),
                "ship": lambda given: self.world.ship(given["id"]),
                "refund": lambda given: self.world.refund(given["id"], float(given["amount"])),
            },
            self.world.describe,
            guard=self.world.guard,
        )

    @classmethod
    def demo(cls, clock: Clock | None = None) -> AmazonStandIn:
        """With the seller of the demo, whose data are made current by the clock."""
        return cls(demo_world(clock))

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[AmazonUrls]:
        """Serve on loopback; port 0 lets the system choose a free one."""
        with serve(self.app, port=port) as url:
            yield AmazonUrls(url)
