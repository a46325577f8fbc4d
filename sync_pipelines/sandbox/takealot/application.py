"""The ASGI application: the key, the paths, and the form of every answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.takealot.errors import Refused, bad_request, forbidden, not_found
from sync_pipelines.sandbox.takealot.listing import LISTS, Query, answer, shown
from sync_pipelines.sandbox.takealot.world import Row, TakealotWorld

ROOT = "/v1/"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_NO_PATH = Refused(404, {"message": "no Route matched with those values"})


def takealot_application(world: TakealotWorld) -> Starlette:
    """An application that serves ``world`` as the Marketplace API v1 would."""

    async def endpoint(request: Request) -> Response:
        if world.latency:
            await asyncio.sleep(world.latency)
        with world.guard:
            world.catch_up()
            try:
                response = _json(200, _value(world, request))
            except Refused as refused:
                response = (
                    _json(refused.status, refused.body) if refused.body is not None else Response(b"", refused.status)
                )
            world.answered(request.url.path)
        return response

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=_METHODS)])


def _value(world: TakealotWorld, request: Request) -> Any:
    # The path as it was sent: an sku may hold an encoded slash.
    path = request.scope["raw_path"].decode("ascii").partition("?")[0]
    if not path.startswith(ROOT):
        raise _NO_PATH
    parts = [unquote(part) for part in path.removeprefix(ROOT).split("/")]
    if parts[0] not in LISTS or len(parts) > 3 or (len(parts) > 1 and parts[0] != "offers"):
        raise _NO_PATH
    if request.headers.get("x-api-key") != world.api_key:
        raise forbidden()
    if request.method != "GET":
        raise Refused(405, {"message": "this stand-in only lets itself be read"})
    query = parse_qs(request.url.query, keep_blank_values=True)
    return answer(world, parts[0], query) if len(parts) == 1 else _offer(world, parts[1:], query)


def _offer(world: TakealotWorld, way: list[str], query: Query) -> Row:
    of = LISTS["offers"]
    for name in query:
        if name not in ("fields", "expands"):
            raise bad_request(f"unknown parameter {name}")
    column, value = ("offer_id", way[0]) if len(way) == 1 else (way[0].removeprefix("by_"), way[1])
    if column not in ("offer_id", "sku", "barcode"):
        raise _NO_PATH
    for row in world.offers.values():
        if str(row[column]) == value:
            return shown(row, query, of)
    raise not_found()


def _json(status: int, value: Any) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, {"Content-Type": "application/json"})
