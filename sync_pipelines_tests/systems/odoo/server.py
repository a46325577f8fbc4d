"""A peer that answers JSON-2 calls by what a test tells it, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from sync_pipelines.systems.odoo.client import OdooClient
from sync_pipelines.systems.odoo.session import OdooSession
from sync_pipelines_tests.systems.scripted_peer import SILENCE, answer

KEY = "0123456789abcdef0123456789abcdef01234567"
Body = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Refusal:
    """A failure as JSON-2 tells it."""

    status: int
    name: str
    message: str = "refused"


@dataclass
class Server:
    """What was asked, as ``model.method`` with the body, and who answers.

    Attributes:
        answering: returns the value to answer, a :class:`Refusal`, or the bytes of a whole HTTP answer.
    """

    answering: Callable[[str, Body], Any]
    url: str = ""
    asked: list[tuple[str, Body]] = field(default_factory=list)

    def bodies(self, operation: str) -> list[Body]:
        return [body for name, body in self.asked if name == operation]

    def reply(self, request: bytes) -> bytes:
        head, _, content = request.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        body = json.loads(content) if content else {}
        operation = ".".join(path.removeprefix("/json/2/").rsplit("/", 1))
        self.asked.append((operation, body))
        said = self.answering(operation, body)
        if isinstance(said, bytes):
            return said
        if isinstance(said, Refusal):
            error = {"name": said.name, "message": said.message, "arguments": [said.message], "context": {}}
            return answer(said.status, {**error, "debug": "Traceback (most recent call last):\n  secret place"})
        return answer(200, said)


@contextlib.asynccontextmanager
async def serving(answering: Callable[[str, Body], Any]) -> AsyncIterator[Server]:
    server = Server(answering)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            content = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
            reply = server.reply(head + content)
            if reply != SILENCE:
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def session(url: str, **options: Any) -> OdooSession:
    """A session that waits for nothing."""

    async def at_once(seconds: float) -> None:
        assert seconds >= 0

    given: dict[str, Any] = {"key": KEY, "database": "shop", "protocol": "json2", "sleep": at_once, **options}
    return OdooSession(url, timeout=httpx.Timeout(60.0), **given)


def talk(answering: Callable[[str, Body], Any], ask: Callable[[OdooClient], Awaitable[T]]) -> tuple[T, Server]:
    """What the client makes of the answers, and the server that gave them."""

    async def run() -> tuple[T, Server]:
        async with serving(answering) as server, session(server.url) as opened:
            return await ask(OdooClient(opened)), server

    return asyncio.run(run())
