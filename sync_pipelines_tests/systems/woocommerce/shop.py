"""A shop that answers as a test tells it, and what every test of the client needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from sync_pipelines.core.errors import PeerError
from sync_pipelines.systems.transport import Transport
from sync_pipelines.systems.woocommerce import Keys, WooCommerceClient, woocommerce_transport
from sync_pipelines_tests.systems.scripted_peer import ScriptedPeer, answer, scripted_peer

KEYS = Keys("ck_0123456789abcdef", "cs_fedcba9876543210")
T = TypeVar("T")

Conversation = Callable[[WooCommerceClient], Awaitable[T]]


def rows(*values: Any, total: int | None = None) -> bytes:
    """The answer of a list."""
    count = len(values) if total is None else total
    headers = {"X-WP-Total": str(count), "X-WP-TotalPages": str(-(-count // 100))}
    return answer(200, list(values), headers)


def refused(status: int, code: str, message: str = "No.", **data: Any) -> bytes:
    """The answer of a refusal."""
    return answer(status, {"code": code, "message": message, "data": {"status": status, **data}})


def talk(replies: Sequence[bytes], conversation: Conversation[T], **options: Any) -> tuple[T, ScriptedPeer]:
    """What a conversation with a scripted shop gave, and what the shop was asked."""

    async def run() -> tuple[T, ScriptedPeer]:
        async with scripted_peer(replies) as peer, transport_to(peer.url, **options) as transport:
            return await conversation(WooCommerceClient(transport)), peer

    return asyncio.run(run())


def answered_by(reply: Callable[[bytes], bytes], conversation: Conversation[T]) -> T:
    """What a conversation gave with a shop whose answers depend on what it is asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
        writer.close()

    async def run() -> T:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server, transport_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as transport:
            return await conversation(WooCommerceClient(transport))

    return asyncio.run(run())


def failure(replies: Sequence[bytes], conversation: Conversation[Any], **options: Any) -> PeerError:
    """The error that a conversation ended with."""
    with pytest.raises(PeerError) as caught:
        talk(replies, conversation, **options)
    return caught.value


def transport_to(url: str, **options: Any) -> Transport:
    """A transport that waits for nothing."""
    return woocommerce_transport(url, KEYS, **{"read_delay": 0.0, **options})


def query_of(request: bytes) -> dict[str, str]:
    """The query of a request, decoded."""
    target = request.split(b"\r\n", 1)[0].decode().split(" ")[1]
    return {name: values[0] for name, values in parse_qs(urlsplit(target).query, keep_blank_values=True).items()}


def path_of(request: bytes) -> str:
    """The path of a request."""
    return urlsplit(request.split(b"\r\n", 1)[0].decode().split(" ")[1]).path


def body_of(request: bytes) -> Any:
    """The JSON of a request."""
    return json.loads(request.partition(b"\r\n\r\n")[2])
