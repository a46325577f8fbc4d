"""One request and its answer, as a fault handles them: run the application, hold its answer back, send another."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.sandbox.server import transport_of

HTML = "text/html; charset=utf-8"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Headers
    body: bytes

    def with_body(self, body: bytes) -> Answer:
        """Return the answer with another body and its honest length."""
        return Answer(self.status, with_header(self.headers, "content-length", str(len(body))), body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request on its way to the application."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    async def commit(self) -> Answer:
        """Run the application and keep its answer back."""
        started: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(self.scope, self.receive, collect)
        return Answer(started["status"], list(started["headers"]), b"".join(parts))

    async def reply(self, answer: Answer) -> None:
        """Send an answer as it is."""
        await self.send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await self.send({"type": "http.response.body", "body": answer.body})

    async def write_raw(self, answer: Answer, body: bytes) -> None:
        """Put the head of ``answer`` and any bytes on the wire, past every check of the HTTP library."""
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}".encode("ascii")]
        lines += [name + b": " + value for name, value in answer.headers]
        transport_of(self.scope).write(b"\r\n".join([*lines, b"", b""]) + body)

    async def close(self, *, reset: bool = False) -> None:
        """End the connection: with a FIN, or with a RST that discards what the client has not read."""
        transport = transport_of(self.scope)
        if reset:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await self._disconnected()

    async def hang(self, seconds: float) -> None:
        """Say nothing until the client leaves, and close the connection at the latest after ``seconds``."""
        try:
            await asyncio.wait_for(self._disconnected(), seconds)
        except TimeoutError:
            await self.close()

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


def page(status: int, text: str, content_type: str = HTML, extra: Mapping[str, str] | None = None) -> Answer:
    """Return an answer made up on the spot."""
    body = text.encode()
    headers = {"content-type": content_type, "content-length": str(len(body)), **(extra or {})}
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return Answer(status, pairs, body)


def with_header(headers: Headers, name: str, value: str) -> Headers:
    """Return the headers with one set to a value."""
    key = name.lower().encode("latin-1")
    return [*(pair for pair in headers if pair[0].lower() != key), (key, value.encode("latin-1"))]


def phrase(status: int) -> str:
    """Return the words that go with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
