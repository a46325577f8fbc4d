"""A peer for the applier's benchmark: an HTTP server in a process of its own that answers every request after 5 ms.

``python -m benchmarks.applier_peer`` prints its port and serves until its standard input ends. It keeps records in
memory and notes when each request arrived. Written on bare asyncio streams, so that the peer's own work stays small
beside the work that is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

LATENCY_SECONDS = 0.005


class Peer:
    """Records by key, and the arrival times of all requests (seconds, monotonic clock of the machine)."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.by_name: dict[str, list[str]] = {}
        self.arrivals: list[float] = []
        self._numbers = itertools.count(1)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Return status and document of one request."""
        url = urlsplit(target)
        if url.path == "/arrivals":
            return 200, self.arrivals
        if method == "GET" and url.path == "/records":
            names = parse_qs(url.query).get("name")
            keys = self.by_name.get(names[0], []) if names else list(self.records)
            return 200, [self.records[key] for key in keys]
        if method == "POST":
            document = json.loads(body)
            key = f"r{next(self._numbers)}"
            self.records[key] = {"key": key, **document}
            self.by_name.setdefault(document["name"], []).append(key)
            return 201, self.records[key]
        record = self.records.get(url.path.removeprefix("/records/"))
        if record is None:
            return 404, {}
        if method == "PATCH":
            record["content"] |= json.loads(body)
        return 200, record


class Connection(asyncio.Protocol):
    """One keep-alive connection; a client sends the next request only after the answer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the answers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take up a request once it is whole."""
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if target != "/arrivals":
            self._peer.arrivals.append(time.monotonic())
        asyncio.get_running_loop().call_later(LATENCY_SECONDS, self._answer, method, target, rest[:length])

    def _answer(self, method: str, target: str, body: bytes) -> None:
        status, document = self._peer.answer(method, target, body)
        payload = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head.encode() + payload)


async def serve() -> None:
    """Serve on a free port of the loopback until standard input ends."""
    peer = Peer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(peer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
