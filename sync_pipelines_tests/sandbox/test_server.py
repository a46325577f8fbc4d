"""The server that all stand-ins run on."""

from __future__ import annotations

import gc
import socket
import threading
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

from sync_pipelines.sandbox.server import serve

ROUNDS = 10


def knocking(port: int, sockets: list[socket.socket], enough: threading.Event) -> None:
    """Connect again and again until nobody listens any more."""
    while not enough.wait(0.0005):
        knocker = socket.socket()
        sockets.append(knocker)
        try:
            knocker.connect(("127.0.0.1", port))
        except OSError:
            return


def test_given_clients_that_connect_while_it_ends_then_none_of_their_connections_stays_open() -> None:
    for _ in range(ROUNDS):
        sockets: list[socket.socket] = []
        enough = threading.Event()
        with serve(PlainTextResponse("here")) as url:
            knocker = threading.Thread(target=knocking, args=(urlsplit(url).port, sockets, enough))
            knocker.start()
            while len(sockets) < 3:
                enough.wait(0.001)
        enough.set()
        knocker.join()
        for one in sockets:
            one.close()
    # What asyncio leaves open it tells of when the memory is given back, which is an error of this test.
    gc.collect()
