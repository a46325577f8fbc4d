"""Addresses at which nobody answers, each in its own way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_QUEUE = 1


@contextmanager
def refusing(url: str) -> Iterator[str]:
    """Yield an address whose port is closed."""
    # Bound and not listening: nobody else can take the port meanwhile.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


@contextmanager
def unknown_host(url: str) -> Iterator[str]:
    """Yield an address whose name does not resolve: ``.invalid`` is reserved for that."""
    yield "http://peer.invalid:8080"


@contextmanager
def without_tls(url: str) -> Iterator[str]:
    """Yield the peer's address with ``https``; the port speaks plain HTTP."""
    yield url.replace("http://", "https://", 1)


@contextmanager
def deaf(url: str) -> Iterator[str]:
    """Yield an address where connections are neither accepted nor refused: the queue of the port is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(_QUEUE)
        for _ in range(_QUEUE + 1):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
