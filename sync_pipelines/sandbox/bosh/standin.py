"""A BOSH Director, with the UAA that signs its tokens, to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp

from sync_pipelines.sandbox.bosh.admin import administered
from sync_pipelines.sandbox.bosh.application import director_application
from sync_pipelines.sandbox.bosh.seeds import demo_world, many
from sync_pipelines.sandbox.bosh.uaa import uaa_application
from sync_pipelines.sandbox.bosh.uaa_world import UaaWorld
from sync_pipelines.sandbox.bosh.world import DirectorWorld
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.rewriting import JsonArray
from sync_pipelines.sandbox.server import serve

# The listings of a Director tell no total.
_SHAPE = JsonArray(total_header="")


class UaaStandIn:
    """A strict stand-in of a UAA's token endpoint.

    Attributes:
        world: its state.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: UaaWorld | None = None) -> None:
        self.world = world or UaaWorld()
        self.faults = FaultInjector(uaa_application(self.world))
        self.app: ASGIApp = RequestLog(self.faults, self.world.requests)

    @contextlib.contextmanager
    def running(self, *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve on loopback; gives the base URL, which the Directors of this UAA tell from now on."""
        with _served(self.app, port, certificate) as url:
            self.world.url = url
            try:
                yield url
            finally:
                self.world.url = ""


class DirectorStandIn:
    """A strict stand-in of a BOSH Director 282.

    Attributes:
        world: its state; tests read it directly and change it by its methods.
        faults: switchable HTTP faults in front of it.
        uaa: the stand-in of its UAA, ``None`` when it asks for user and password.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, world: DirectorWorld | None = None, uaa: UaaStandIn | None = None) -> None:
        self.world = world or DirectorWorld(uaa=uaa.world if uaa else None)
        self.uaa = uaa or (UaaStandIn(self.world.uaa) if self.world.uaa else None)
        self.faults = FaultInjector(director_application(self.world), _SHAPE)
        self.app: ASGIApp = administered(RequestLog(self.faults, self.world.requests), self.world)

    @classmethod
    def demo(cls, *, uaa: UaaWorld | None = None) -> DirectorStandIn:
        """With the demo's deployments."""
        return cls(demo_world(uaa=uaa))

    @classmethod
    def many(cls, deployments: int, vms_each: int = 1) -> DirectorStandIn:
        """With as many made-up deployments as are asked for."""
        return cls(many(deployments, vms_each))

    @contextlib.contextmanager
    def running(self, *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve on loopback; gives the base URL. Its UAA is started too unless it runs already.

        Arguments:
            port: TCP port; 0 lets the system choose a free one.
            certificate: files of a certificate chain and its key, to serve over TLS as real Directors do.
        """
        with contextlib.ExitStack() as stack:
            if self.uaa is not None and not self.uaa.world.url:
                stack.enter_context(self.uaa.running(certificate=certificate))
            yield stack.enter_context(_served(self.app, port, certificate))


@contextlib.contextmanager
def _served(app: ASGIApp, port: int, certificate: tuple[Path, Path] | None) -> Iterator[str]:
    if certificate is None:
        with serve(app, port=port) as url:
            yield url
    else:
        chain, key = certificate
        with serve(app, port=port, ssl_certfile=str(chain), ssl_keyfile=str(key)) as url:
            yield url.replace("http://", "https://", 1)
