"""An Odoo server to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.types import ASGIApp

from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.odoo.admin import administered
from sync_pipelines.sandbox.odoo.application import odoo_application
from sync_pipelines.sandbox.odoo.seeds import demo_world, fresh_world, many
from sync_pipelines.sandbox.odoo.world import OdooWorld
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.rewriting import JsonArray
from sync_pipelines.sandbox.server import serve

# The listings tell no total.
_SHAPE = JsonArray(total_header="")


class OdooStandIn:
    """A strict stand-in of an Odoo 19 server with contacts, products, stock, sales and credit notes.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: OdooWorld | None = None) -> None:
        self.world = world or fresh_world()
        self.faults = FaultInjector(odoo_application(self.world), _SHAPE)
        self.app: ASGIApp = administered(RequestLog(self.faults, self.world.requests), self.world)

    @classmethod
    def demo(cls) -> OdooStandIn:
        """With the demo shop."""
        return cls(demo_world())

    @classmethod
    def many(cls, products: int, partners: int) -> OdooStandIn:
        """With as many made-up products and customers as are asked for."""
        return cls(many(products, partners))

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[str]:
        """Serve on loopback; gives the base URL."""
        with serve(self.app, port=port) as url:
            yield url
