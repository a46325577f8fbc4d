"""The ASGI application of a replica: paths, media types, and answers in CBOR or in plain text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.internet_computer.envelopes import Malformed
from sync_pipelines.sandbox.internet_computer.principals import principal_bytes
from sync_pipelines.sandbox.internet_computer.replica import NotOffered, Replica, encoded

CBOR = "application/cbor"
LONGEST_BODY = 5 * 1024 * 1024

Handler = Callable[[Replica, bytes, bytes], dict[str, Any]]
_ROUTES: tuple[tuple[re.Pattern[str], Handler], ...] = (
    (re.compile(r"/api/v[23]/canister/([^/]+)/query"), lambda replica, id_, body: replica.query(id_, body)),
    (
        re.compile(r"/api/v[23]/canister/([^/]+)/read_state"),
        lambda replica, id_, body: replica.read_state(id_, body, of_subnet=False),
    ),
    (
        re.compile(r"/api/v[23]/subnet/([^/]+)/read_state"),
        lambda replica, id_, body: replica.read_state(id_, body, of_subnet=True),
    ),
)
_STATUS_PATH = "/api/v2/status"


def replica_application(replica: Replica) -> ASGIApp:
    """Return an application that serves a replica. Calls, which change a canister, are not offered."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if replica.latency_seconds:
            await asyncio.sleep(replica.latency_seconds)
        await _respond(replica, request, body)(scope, receive, send)

    return application


def _respond(replica: Replica, request: Request, body: bytes) -> Response:
    path = request.scope["path"]
    if path == _STATUS_PATH:
        if request.method != "GET":
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET"})
        return Response(encoded(replica.status()), media_type=CBOR)
    for pattern, handler in _ROUTES:
        if found := pattern.fullmatch(path):
            if request.method != "POST":
                return PlainTextResponse("Method Not Allowed", 405, {"Allow": "POST"})
            return _posted(replica, request, body, handler, found.group(1))
    return PlainTextResponse("error: not_found\ndetails: there is nothing at this path\n", 404)


def _posted(replica: Replica, request: Request, body: bytes, handler: Handler, id_: str) -> Response:
    if request.headers.get("content-type", "") != CBOR:
        return PlainTextResponse(f"Unexpected content-type, expected {CBOR}.", 400)
    if len(body) > LONGEST_BODY:
        return PlainTextResponse(f"Request is too large: at most {LONGEST_BODY} bytes are allowed", 413)
    try:
        addressed = principal_bytes(id_)
    except ValueError as error:
        return PlainTextResponse(f"error: malformed_request\ndetails: {error}", 400)
    try:
        return Response(encoded(handler(replica, addressed, body)), media_type=CBOR)
    except Malformed as refusal:
        return PlainTextResponse(str(refusal), 400)
    except NotOffered as reason:
        return PlainTextResponse(str(reason), 501)
