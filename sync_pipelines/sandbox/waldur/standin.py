"""A Waldur server to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.types import ASGIApp

from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.rewriting import JsonArray
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur.application import waldur_application
from sync_pipelines.sandbox.waldur.seeds import demo_world, recorded_world
from sync_pipelines.sandbox.waldur.world import WaldurWorld


class WaldurStandIn:
    """A strict stand-in of a Waldur 7.0.7 marketplace.

    Attributes:
        world: its state; tests read and change it directly.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: WaldurWorld | None = None) -> None:
        self.world = world or WaldurWorld()
        self.faults = FaultInjector(waldur_application(self.world), JsonArray("X-Result-Count"))
        self.app: ASGIApp = RequestLog(self.faults, self.world.requests)

    @classmethod
    def demo(cls) -> WaldurStandIn:
        """With the demo offerings."""
        return cls(demo_world())

    @classmethod
    def recorded(cls) -> WaldurStandIn:
        """With the seed of the recordings and no offerings."""
        return cls(recorded_world())

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[str]:
        """Serve on loopback; gives the base URL without ``/api``."""
        with serve(self.app, port=port) as url:
            yield url
