"""Serves an ASGI application over real HTTP on the loopback interface, in a background thread.

All stand-ins run on this, so that clients under test meet sockets, headers, time-outs and lost connections instead of
function calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_TICK_SECONDS = 0.1
_GRACE_MILLISECONDS = 1000
_TURNS = 8
"""Turns of the event loop in which a connection that is accepted comes to be, and one that is aborted goes."""

_Address = tuple[str, int]
_transports: weakref.WeakValueDictionary[tuple[_Address, _Address], asyncio.Transport] = weakref.WeakValueDictionary()


class _TrackedProtocol(H11Protocol):
    """HTTP/1.1 protocol whose transport can be found from an ASGI scope.

    ASGI has no way to drop or reset a connection, and a fault has to do exactly that.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn does the same
        super().connection_made(transport)
        if self.server is not None and self.client is not None:
            _transports[_address(self.server), _address(self.client)] = transport


class _Server(uvicorn.Server):
    """Ends when it is told to. uvicorn looks ten times a second and then waits as long again for its connections.

    Tests start hundreds of servers, so that these waits would add up to minutes.
    """

    _told: asyncio.Event
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._shut: set[Any] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._told, self._loop = asyncio.Event(), asyncio.get_running_loop()
        await super().startup(sockets=sockets)

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        # What asyncio has accepted and not yet handed over when its server closes, it leaves open.
        await _turns()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for _ in range(_GRACE_MILLISECONDS):
            self._shut_connections()
            if self.force_exit or not (state.connections or state.tasks):
                break
            await asyncio.sleep(0.001)
        for task in state.tasks:
            task.cancel()
        # Nothing may be left open when the loop ends: nobody could close it any more.
        for connection in list(state.connections):
            connection.transport.abort()
        await _turns()

    def _shut_connections(self) -> None:
        """Let every connection end after the answer in hand, those too that were accepted a moment ago."""
        for connection in self.server_state.connections - self._shut:
            self._shut.add(connection)
            connection.shutdown()

    def end(self) -> None:
        """Let the server end; from any thread."""
        self.should_exit = True
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._told.set)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def transport_of(scope: Scope) -> asyncio.Transport:
    """The TCP transport a request came in on.

    Raises:
        LookupError: the application does not run under :func:`serve`, or the connection is gone.
    """
    return _transports[_address(scope["server"]), _address(scope["client"])]


@contextlib.contextmanager
def serve(app: ASGIApp, *, port: int = 0, **options: Any) -> Iterator[str]:
    """Run ``app`` on 127.0.0.1 until the block is left.

    Arguments:
        app: any ASGI application; its lifespan is not run.
        port: TCP port; 0 lets the system choose a free one.
        options: further settings of ``uvicorn.Config``, such as ``ws_max_size``.

    Returns:
        The base URL without a trailing slash, e.g. ``http://127.0.0.1:40123``.

    Raises:
        OSError: the port is taken.
        RuntimeError: the server did not start.
    """
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol; with it on, every answer that is
    # written in two parts takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(
        app,
        http=_TrackedProtocol,
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **options,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox-server", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.end()
        thread.join(_STOP_SECONDS)
        if thread.is_alive():
            server.force_exit = True
            thread.join(_STOP_SECONDS)
        listener.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause = threading.Event()
    waited = 0.0
    while not server.started:
        if not thread.is_alive() or waited > _START_SECONDS:
            raise RuntimeError("the stand-in's server did not start")
        pause.wait(0.005)
        waited += 0.005


def _address(value: Any) -> _Address:
    return str(value[0]), int(value[1])
