"""A reverse proxy in front of the real server that spoils answers as told, with a log of what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.exchange import Answer, Exchange
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import LoggedRequest, RequestLog
from sync_pipelines.sandbox.rewriting import Row, set_member
from sync_pipelines.sandbox.server import serve, transport_of

_SECONDS = 60.0
# The server that this runs in dates its answers itself.
_OF_THE_WIRE = frozenset({b"connection", b"content-length", b"transfer-encoding", b"host", b"date"})


class OpenBaoProxy:
    """Stands before a server as the other stand-ins stand for theirs.

    Arguments:
        url: base URL of the server.

    Attributes:
        faults: switchable HTTP faults.
        requests: what was asked, in order.
        forwarded: what reached the server, in order, whatever became of its answer.
        app: the ASGI application with request log and faults.
    """

    def __init__(self, url: str) -> None:
        self.requests: list[LoggedRequest] = []
        self.forwarded: list[LoggedRequest] = []
        self.faults = FaultInjector(RequestLog(_Forward(url), self.forwarded), SecretsAsRows())
        self.app: ASGIApp = RequestLog(self.faults, self.requests)

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[str]:
        """Serve on loopback; gives the base URL without ``/v1``."""
        with serve(self.app, port=port) as url:
            yield url


class SecretsAsRows:
    """Listings of Vault: the keys of LIST and SCAN, and the entries of a secret that is a map, as pairs."""

    def rows(self, answer: Answer) -> list[Row] | None:
        """Return the keys, or the entries as pairs of id and value."""
        found = _listing(answer)
        if isinstance(found, dict):
            return list(found.items())
        return found

    def total(self, answer: Answer) -> int | None:
        """Return nothing: Vault counts nothing."""
        return None

    def rebuilt(self, answer: Answer, rows: Sequence[Row], total: int | None) -> Answer:
        """Return the answer with other keys or entries."""
        body = json.loads(answer.body)
        if isinstance(_listing(answer), dict):
            body["data"]["data"] = dict(rows)
        else:
            body["data"]["keys"] = list(rows)
        return answer.with_body(json.dumps(body).encode())

    def with_field(self, row: Row, name: str, value: Any) -> Row:
        """Return an entry with a member set or left out; a key stays as it is."""
        if isinstance(row, tuple) and isinstance(row[1], dict):
            return row[0], set_member(row[1], name, value)
        return row


def _listing(answer: Answer) -> list[Row] | dict[str, Any] | None:
    if answer.status != 200 or not answer.body.startswith(b"{"):
        return None
    data = json.loads(answer.body).get("data")
    if not isinstance(data, dict):
        return None
    found = data.get("keys", data.get("data"))
    return found if isinstance(found, list | dict) else None


class _Forward:
    """ASGI application that sends each request on as it came and brings back the answer.

    Each has a connection of its own, which the server closes after the answer, as HTTP 1.0 has it: nothing is kept
    open, and no answer comes in chunks.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = _answer(await self._sent(_request(scope, body, self._address.netloc)))
        except (OSError, ValueError):
            # The server is down. Its own clients would be refused a connection; this is as close as a proxy comes.
            transport_of(scope).close()
            return
        await Exchange(self, scope, receive, send).reply(answer)

    async def _sent(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _request(scope: Scope, body: bytes, address: str) -> bytes:
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    lines = [scope["method"].encode("ascii") + b" " + target + b" HTTP/1.0", b"host: " + address.encode("ascii")]
    lines += [name + b": " + value for name, value in _kept(scope["headers"])]
    if body or scope["method"] in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(body)}".encode("ascii"))
    return b"\r\n".join([*lines, b"", body])


def _answer(received: bytes) -> Answer:
    """Return what the server sent; raises ``ValueError`` when it is cut off."""
    head, end, body = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    announced = next((int(value) for name, value in pairs if name == b"content-length"), len(body))
    if not end or len(body) < announced:
        raise ValueError("the server went away in the middle of its answer")
    status = int(first.split()[1])
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode("ascii"))]
    return Answer(status, [*_kept(pairs), *length], body)


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_THE_WIRE]
