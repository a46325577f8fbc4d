"""Switchable HTTP faults for any stand-in: what networks, proxies and overloaded servers do to a client.

:class:`FaultInjector` is an ASGI middleware. Tests arm faults on it directly; other processes use the route
``/_sandbox/faults`` (GET lists, POST arms one, DELETE disarms all). Faults act on the TCP connection itself, hence need
the application to run under :func:`sync_pipelines.sandbox.server.serve`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.sandbox.server import transport_of

ADMIN_PATH = "/_sandbox/faults"

_HTML = "text/html; charset=utf-8"
_ERROR_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_LOGIN_PAGE = '<html><head><title>Sign in</title></head><body><form method="post">Please sign in</form></body></html>\n'


class FaultKind(StrEnum):
    """What happens to a request. *Commit* means that the application runs and keeps what it did."""

    LATENCY = "latency"
    """``seconds`` pass, then the request is served as usual."""
    STATUS = "status"
    """Answered with ``status``, ``headers`` and ``body``; the application never sees the request."""
    ERROR_AFTER_COMMIT = "error_after_commit"
    """The application runs; its answer is replaced by ``status`` (500) and an HTML page."""
    DROP = "drop"
    """The connection is closed without an answer; the application never sees the request."""
    DROP_AFTER_COMMIT = "drop_after_commit"
    """The application runs, then the connection is closed without an answer."""
    HANG = "hang"
    """Nothing for ``seconds``, then the connection is closed; the application never sees the request."""
    HANG_AFTER_COMMIT = "hang_after_commit"
    """The application runs, then nothing for ``seconds``, then the connection is closed."""
    TRUNCATED_BODY = "truncated_body"
    """Half of the real body as a complete answer with its own, honest length."""
    LOGIN_PAGE = "login_page"
    """200 with an HTML login page, as from a portal or proxy; the application never sees the request."""
    RESET_MID_BODY = "reset_mid_body"
    """The head and half of the body of the real answer, then a TCP reset."""
    WRONG_LENGTH = "wrong_length"
    """The real answer with a Content-Length larger than its body, then the connection is closed."""
    BROKEN_GZIP = "broken_gzip"
    """The real answer announced as gzip, with bytes that do not decompress."""
    REDIRECT = "redirect"
    """302 (or ``status``) to ``location``; the application never sees the request."""
    SLOW_DRIP = "slow_drip"
    """The real answer in small pieces with ``seconds`` between them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to inject.

    Attributes:
        kind: what happens.
        method: regular expression the whole method must match.
        path: regular expression searched for in the path.
        times: how often it acts before it disarms itself; ``None`` for ever.
        skip: number of matching requests that are let through first.
        seconds: duration of latencies, hangs and pauses.
        status: status of replaced answers; 0 takes the usual one of the kind.
        headers: additional headers of replaced answers.
        body: body of replaced answers; ``None`` takes an HTML page.
        content_type: media type of replaced answers.
        location: target of redirects.
    """

    kind: FaultKind
    method: str = ".*"
    path: str = ""
    times: int | None = None
    skip: int = 0
    seconds: float = 0.0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = _HTML
    location: str = "http://elsewhere.invalid/"


@dataclass(slots=True)
class ArmedFault:
    """A fault that is switched on. ``matched`` and ``fired`` count requests."""

    fault: Fault
    matched: int = 0
    fired: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is the fault's; counts it."""
        if not re.fullmatch(self.fault.method, method) or not re.search(self.fault.path, path):
            return False
        if self.fault.times is not None and self.fired >= self.fault.times:
            return False
        self.matched += 1
        if self.matched <= self.fault.skip:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Exchange:
    app: ASGIApp
    fault: Fault
    scope: Scope
    receive: Receive
    send: Send

    async def commit(self) -> _Answer:
        """Run the application and keep its answer back."""
        started: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(self.scope, self.receive, collect)
        return _Answer(started["status"], list(started["headers"]), b"".join(parts))

    async def reply(self, answer: _Answer) -> None:
        await self.send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await self.send({"type": "http.response.body", "body": answer.body})

    async def write_raw(self, answer: _Answer, body: bytes) -> None:
        """Put the head of ``answer`` and any bytes on the wire, past every check of the HTTP library."""
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}".encode("ascii")]
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
        await self.disconnected()

    async def disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def hang(self) -> None:
        try:
            await asyncio.wait_for(self.disconnected(), self.fault.seconds)
        except TimeoutError:
            await self.close()


class FaultInjector:
    """ASGI middleware that spoils requests as told. See :class:`Fault` for what can be asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._armed: list[ArmedFault] = []

    @property
    def armed(self) -> tuple[ArmedFault, ...]:
        return tuple(self._armed)

    def add(self, kind: FaultKind | str, **options: Any) -> ArmedFault:
        """Arm a fault; ``options`` are the further fields of :class:`Fault`. Faults are tried in the order added."""
        armed = ArmedFault(Fault(FaultKind(kind), **options))
        self._armed.append(armed)
        return armed

    def remove(self, armed: ArmedFault) -> None:
        """Disarm one fault."""
        self._armed.remove(armed)

    def clear(self) -> None:
        """Disarm all faults."""
        self._armed.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].rstrip("/") == ADMIN_PATH:
            await self._administer(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        for armed in self.armed:
            if not armed.takes(scope["method"], scope["path"]):
                continue
            if armed.fault.kind is not FaultKind.LATENCY:
                await _ACTIONS[armed.fault.kind](_Exchange(self._app, armed.fault, scope, receive, send))
                return
            await asyncio.sleep(armed.fault.seconds)
        await self._app(scope, receive, send)

    async def _administer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = JSONResponse([asdict(armed) for armed in self.armed])
        if request.method == "POST":
            try:
                fault = TypeAdapter(Fault).validate_json(await request.body())
            except ValidationError as error:
                response = JSONResponse({"detail": str(error)}, status_code=400)
            else:
                armed = ArmedFault(fault)
                self._armed.append(armed)
                response = JSONResponse(asdict(armed), status_code=201)
        elif request.method == "DELETE":
            self.clear()
            response = JSONResponse([])
        await response(scope, receive, send)


async def _status(exchange: _Exchange) -> None:
    await exchange.reply(_replacement(exchange.fault, exchange.fault.status or 503))


async def _error_after_commit(exchange: _Exchange) -> None:
    await exchange.commit()
    await exchange.reply(_replacement(exchange.fault, exchange.fault.status or 500))


async def _drop(exchange: _Exchange) -> None:
    await exchange.close()


async def _drop_after_commit(exchange: _Exchange) -> None:
    await exchange.commit()
    await exchange.close()


async def _hang(exchange: _Exchange) -> None:
    await exchange.hang()


async def _hang_after_commit(exchange: _Exchange) -> None:
    await exchange.commit()
    await exchange.hang()


async def _truncated_body(exchange: _Exchange) -> None:
    answer = await exchange.commit()
    body = answer.body[: len(answer.body) // 2]
    await exchange.reply(_Answer(answer.status, _with_length(answer.headers, len(body)), body))


async def _login_page(exchange: _Exchange) -> None:
    await exchange.reply(_page(200, _LOGIN_PAGE))


async def _reset_mid_body(exchange: _Exchange) -> None:
    answer = await exchange.commit()
    await exchange.write_raw(answer, answer.body[: len(answer.body) // 2])
    # A reset throws away what the client's kernel has not delivered yet; give it the time to read the first half.
    await asyncio.sleep(0.05)
    await exchange.close(reset=True)


async def _wrong_length(exchange: _Exchange) -> None:
    answer = await exchange.commit()
    longer = _Answer(answer.status, _with_length(answer.headers, len(answer.body) + 64), answer.body)
    await exchange.write_raw(longer, answer.body)
    await exchange.close()


async def _broken_gzip(exchange: _Exchange) -> None:
    answer = await exchange.commit()
    headers = [*_with_length(answer.headers, len(answer.body)), (b"content-encoding", b"gzip")]
    await exchange.reply(_Answer(answer.status, headers, answer.body))


async def _redirect(exchange: _Exchange) -> None:
    answer = _replacement(exchange.fault, exchange.fault.status or 302)
    answer.headers.append((b"location", exchange.fault.location.encode("latin-1")))
    await exchange.reply(answer)


async def _slow_drip(exchange: _Exchange) -> None:
    answer = await exchange.commit()
    await exchange.send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    size = max(1, len(answer.body) // 10)
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(exchange.fault.seconds)
        await exchange.send(
            {"type": "http.response.body", "body": answer.body[start : start + size], "more_body": True}
        )
    await exchange.send({"type": "http.response.body", "body": b""})


_ACTIONS: Mapping[FaultKind, Callable[[_Exchange], Awaitable[None]]] = {
    FaultKind.STATUS: _status,
    FaultKind.ERROR_AFTER_COMMIT: _error_after_commit,
    FaultKind.DROP: _drop,
    FaultKind.DROP_AFTER_COMMIT: _drop_after_commit,
    FaultKind.HANG: _hang,
    FaultKind.HANG_AFTER_COMMIT: _hang_after_commit,
    FaultKind.TRUNCATED_BODY: _truncated_body,
    FaultKind.LOGIN_PAGE: _login_page,
    FaultKind.RESET_MID_BODY: _reset_mid_body,
    FaultKind.WRONG_LENGTH: _wrong_length,
    FaultKind.BROKEN_GZIP: _broken_gzip,
    FaultKind.REDIRECT: _redirect,
    FaultKind.SLOW_DRIP: _slow_drip,
}


def _replacement(fault: Fault, status: int) -> _Answer:
    body = fault.body if fault.body is not None else _ERROR_PAGE.format(f"{status} {_phrase(status)}")
    return _page(status, body, fault.content_type, fault.headers)


def _page(status: int, text: str, content_type: str = _HTML, extra: Mapping[str, str] | None = None) -> _Answer:
    body = text.encode()
    headers = {"content-type": content_type, "content-length": str(len(body)), **(extra or {})}
    return _Answer(status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()], body)


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(length).encode("ascii"))]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
