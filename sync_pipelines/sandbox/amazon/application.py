"""The ASGI application: token host, regions below ``/na``, ``/eu`` and ``/fe``, and the form of every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.amazon.answers import Refused, invalid, refused
from sync_pipelines.sandbox.amazon.catalogue import list_transactions, search_listings
from sync_pipelines.sandbox.amazon.orders import get_order, search_orders
from sync_pipelines.sandbox.amazon.world import RATES, AmazonWorld, Record

TOKEN_PATH = "/auth/o2/token"

_Handler = Callable[[AmazonWorld, str, tuple[str, ...], str], Record]
_ROUTES: tuple[tuple[str, re.Pattern[str], _Handler], ...] = (
    (
        "searchOrders",
        re.compile(r"/orders/2026-01-01/orders"),
        lambda world, region, _, query: search_orders(world, region, query),
    ),
    (
        "getOrder",
        re.compile(r"/orders/2026-01-01/orders/([^/]+)"),
        lambda world, region, names, query: get_order(world, region, names[0], query),
    ),
    (
        "listTransactions",
        re.compile(r"/finances/2024-06-19/transactions"),
        lambda world, region, _, query: list_transactions(world, region, query),
    ),
    (
        "searchListingsItems",
        re.compile(r"/listings/2021-08-01/items/([^/]+)"),
        lambda world, region, names, query: search_listings(world, region, names[0], query),
    ),
)
_REGION = re.compile(r"/(na|eu|fe)(/.*)")


def amazon_application(world: AmazonWorld) -> ASGIApp:
    """Return an application that serves a world."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        path = scope["raw_path"].decode("ascii").partition("?")[0]
        # Nothing within awaits, so that each request is answered by one state of the world.
        with world.guard:
            response = _respond(world, request, path, body)
            world.answered(path)
        await response(scope, receive, send)

    return application


def _respond(world: AmazonWorld, request: Request, path: str, body: bytes) -> Response:
    headers = {"x-amzn-RequestId": f"request-{world.number()}"}
    try:
        if path == TOKEN_PATH:
            return _json(200, _granted(world, request, body), headers)
        operation, region, names, handler = _resolved(path)
        if request.method != "GET":
            raise refused(405, "InvalidInput", "The method is not allowed")
        if body or "content-length" in request.headers:
            raise refused(400, "InvalidInput", "A GET request must not have a body")
        world.calls[operation] += 1
        if world.tells_rate:
            headers["x-amzn-RateLimit-Limit"] = str(RATES[operation][0])
        world.admit(request.headers.get("x-amz-access-token"), region, operation)
        return _json(200, handler(world, region, names, request.url.query), headers)
    except Refused as error:
        return _json(error.status, error.body, headers)


def _resolved(path: str) -> tuple[str, str, tuple[str, ...], _Handler]:
    within = _REGION.fullmatch(path)
    if within is not None:
        for operation, pattern, handler in _ROUTES:
            if found := pattern.fullmatch(within[2]):
                return operation, within[1], tuple(map(unquote, found.groups())), handler
    raise refused(404, "NotFound", "The resource was not found")


def _granted(world: AmazonWorld, request: Request, body: bytes) -> Record:
    kind = request.headers.get("content-type", "").partition(";")[0]
    if request.method != "POST" or kind != "application/x-www-form-urlencoded":
        raise invalid("POST a form")
    return world.grant(dict(parse_qsl(body.decode("utf-8", "replace"))))


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, headers, "application/json")
