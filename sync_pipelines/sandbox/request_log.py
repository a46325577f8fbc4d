"""Remembers every HTTP request a stand-in received, with the status it was answered with."""

from __future__ import annotations

import time
from collections.abc import MutableSequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(slots=True)
class LoggedRequest:
    """One request as it arrived.

    Attributes:
        method: upper-case HTTP method.
        path: decoded path without the query.
        query: raw query string.
        body: bytes of the request body; credentials, which travel in headers, are not kept.
        status: status of the answer, ``None`` while none was sent (and for ever when the connection was dropped).
        at: when it had arrived as a whole, in seconds of the monotonic clock.
    """

    method: str
    path: str
    query: str
    body: bytes
    status: int | None = None
    at: float = field(default_factory=time.monotonic)

    @property
    def is_write(self) -> bool:
        return self.method not in {"GET", "HEAD", "OPTIONS"}


class RequestLog:
    """ASGI middleware that appends each HTTP request to ``entries``. Put it outside the faults."""

    def __init__(self, app: ASGIApp, entries: MutableSequence[LoggedRequest]) -> None:
        self._app = app
        self._entries = entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        entry = LoggedRequest(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), body)
        self._entries.append(entry)

        async def logging_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        await self._app(scope, _replay(body, receive), logging_send)


async def _read(receive: Receive) -> bytes | None:
    """The whole request body, or ``None`` when the client left before it was complete."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
