"""Switchable HTTP faults for any stand-in: what networks, proxies and overloaded servers do to a client.

:class:`FaultInjector` is an ASGI middleware. Tests arm faults on it directly; other processes use the route
``/_sandbox/faults`` (GET lists, POST arms one, DELETE disarms all). Faults act on the TCP connection itself, hence need
the application to run under :func:`sync_pipelines.sandbox.server.serve`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.sandbox.exchange import Answer, Exchange
from sync_pipelines.sandbox.fault_actions import ACTIONS, Incident
from sync_pipelines.sandbox.fault_kinds import ArmedFault, Fault, FaultKind
from sync_pipelines.sandbox.rewriting import Lie, ListingShape, Rewrite

__all__ = ["ADMIN_PATH", "ArmedFault", "Fault", "FaultInjector", "FaultKind", "Lie", "Rewrite"]

ADMIN_PATH = "/_sandbox/faults"
REMEMBERED = 32
"""Answers kept for faults that send an earlier one again."""


class FaultInjector:
    """ASGI middleware that spoils requests as told. See :class:`Fault` for what can be asked for.

    Arguments:
        app: the application.
        shape: what its listings look like, for :attr:`FaultKind.REWRITE`.
    """

    def __init__(self, app: ASGIApp, shape: ListingShape | None = None) -> None:
        self._app = app
        self._shape = shape
        self._armed: list[ArmedFault] = []
        self._answers: deque[tuple[Scope, Answer]] = deque(maxlen=REMEMBERED)

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
        body = ""
        if any(armed.fault.sent for armed in self.armed):
            body, receive = await _read_ahead(receive)
        for armed in self.armed:
            if not armed.takes(*_asked(scope), body):
                continue
            if armed.fault.kind is not FaultKind.LATENCY:
                exchange = Exchange(self._remembering, scope, receive, send)
                incident = Incident(exchange, armed, self._previous(armed.fault, body), self._shape)
                await ACTIONS[armed.fault.kind](incident)
                return
            await asyncio.sleep(armed.fault.seconds)
        await self._remembering(scope, receive, send)

    async def _remembering(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and remember its answer."""
        started: Message = {}
        parts: list[bytes] = []

        async def copy(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                parts.append(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, copy)
        if started:
            self._answers.append((scope, Answer(started["status"], list(started["headers"]), b"".join(parts))))

    def _previous(self, fault: Fault, body: str) -> Answer | None:
        return next((answer for scope, answer in reversed(self._answers) if fault.concerns(*_asked(scope), body)), None)

    async def _administer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = JSONResponse([_told(armed) for armed in self.armed])
        if request.method == "POST":
            try:
                fault = TypeAdapter(Fault).validate_json(await request.body())
            except ValidationError as error:
                response = JSONResponse({"detail": str(error)}, status_code=400)
            else:
                armed = ArmedFault(fault)
                self._armed.append(armed)
                response = JSONResponse(_told(armed), status_code=201)
        elif request.method == "DELETE":
            self.clear()
            response = JSONResponse([])
        await response(scope, receive, send)


async def _read_ahead(receive: Receive) -> tuple[str, Receive]:
    """Return the body of a request, and what gives the same messages to the application."""
    messages: deque[Message] = deque()
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    parts = [message.get("body", b"") for message in messages]

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return b"".join(parts).decode("utf-8", "replace"), again


def _asked(scope: Scope) -> tuple[str, str, str]:
    return scope["method"], scope["path"], scope["query_string"].decode("latin-1")


def _told(armed: ArmedFault) -> dict[str, Any]:
    return {"fault": asdict(armed.fault), "matched": armed.matched, "fired": armed.fired}
