"""A peer that answers byte for byte what a test tells it to, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SILENCE = b""
"""Close the connection without an answer."""


@dataclass
class ScriptedPeer:
    """What the peer was asked, and where it listens."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    most_at_once: int = 0

    @property
    def request_lines(self) -> list[str]:
        return [request.split(b"\r\n", 1)[0].decode() for request in self.requests]


def answer(status: int, body: bytes | str | Any = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP answer; a body that is neither bytes nor text becomes JSON."""
    if isinstance(body, str):
        body, kind = body.encode(), "text/html; charset=utf-8"
    elif isinstance(body, bytes):
        kind = "application/json"
    else:
        body, kind = json.dumps(body).encode(), "application/json"
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Any\r\n{head}\r\n".encode() + body


@contextlib.asynccontextmanager
async def scripted_peer(replies: Sequence[bytes], *, delay: float = 0.0) -> AsyncIterator[ScriptedPeer]:
    """Serve the replies in order, one a connection; the last one again and again.

    Arguments:
        delay: seconds between a request and its reply.
    """
    peer = ScriptedPeer()
    under_way = 0
    conversations: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        task = asyncio.current_task()
        assert task is not None
        conversations[task] = writer
        peer.most_at_once = max(peer.most_at_once, under_way)
        try:
            peer.requests.append(await _one_request(reader))
            reply = replies[min(len(peer.requests), len(replies)) - 1]
            await asyncio.sleep(delay)
            writer.write(reply)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            under_way -= 1
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        await server.wait_closed()
        # Nothing of an answer that its reader gave up half way may outlive the loop: its socket would warn later.
        for task, writer in conversations.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def _one_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)
