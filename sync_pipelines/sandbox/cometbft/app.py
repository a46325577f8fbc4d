"""The stand-in as one ASGI application: RPC, websocket and the routes that change the chain."""

from __future__ import annotations

from contextlib import AbstractContextManager

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from sync_pipelines.sandbox.background import repeated
from sync_pipelines.sandbox.cometbft.admin import admin_routes
from sync_pipelines.sandbox.cometbft.rpc import HttpRpc, endpoints
from sync_pipelines.sandbox.cometbft.websocket import EventSockets
from sync_pipelines.sandbox.cometbft.world import ChainWorld


def create_app(world: ChainWorld) -> Starlette:
    """Return the application that serves ``world``, which may be changed from any thread meanwhile.

    The websockets are ``app.state.sockets``, an :class:`EventSockets`.
    """
    rpc, sockets = HttpRpc(world), EventSockets(world)
    routes = [
        *admin_routes(world, sockets),
        Route("/", endpoints, methods=["GET"]),
        Route("/", rpc.post, methods=["POST"]),
        WebSocketRoute("/websocket", sockets.serve),
        Route("/{method:path}", rpc.get, methods=["GET"]),
    ]
    app = Starlette(routes=routes)
    app.state.sockets = sockets
    app.state.world = world
    return app


def produce_blocks(world: ChainWorld, interval: float) -> AbstractContextManager[None]:
    """Make an empty block every ``interval`` seconds, as a living chain does, until the block is left."""
    return repeated(world.empty_block, interval)
