"""The ASGI application of a shop: tokens, versions, the budget, queries, and the files of bulk operations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.shopify import queries
from sync_pipelines.sandbox.shopify.world import CLIENT_ID, CLIENT_SECRET, ShopifyWorld

_API = re.compile(r"/admin/api/([^/]+)/graphql\.json")
_FILE = re.compile(r"/bulk/(\d+)\.jsonl")
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def shop_application(world: ShopifyWorld) -> ASGIApp:
    """Return an application that serves ``world``. Each request is answered as a whole before the next one."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        with world.guard:
            response = _respond(world, request, body)
        await response(scope, receive, send)

    return application


def _respond(world: ShopifyWorld, request: Request, body: bytes) -> Response:
    path = request.url.path
    file = _FILE.fullmatch(path)
    if file:
        return _file(world, request, file[1])
    api = _API.fullmatch(path)
    if request.url.query or request.method != "POST":
        return _error(400 if api else 404, "Bad Request" if api else "Not Found")
    if path == "/admin/oauth/access_token":
        return _token(world, request, body)
    version = world.answering(api[1]) if api else None
    if version is None:
        return _error(404, "Not Found")
    if not world.is_good(request.headers.get("x-shopify-access-token", "")):
        return _error(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")
    return JSONResponse(_queried(world, body), headers={"X-Shopify-API-Version": version})


def _error(status: int, text: str) -> Response:
    return JSONResponse({"errors": text}, status)


def _token(world: ShopifyWorld, request: Request, body: bytes) -> Response:
    if request.headers.get("content-type", "").startswith("application/json"):
        given = json.loads(body)
    else:
        given = dict(parse_qsl(body.decode()))
    if set(given) != {"grant_type", "client_id", "client_secret"} or given["grant_type"] != "client_credentials":
        return JSONResponse({"error": "invalid_request", "error_description": "Could not process the request"}, 400)
    if (given["client_id"], given["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
        return JSONResponse({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
    scope = ",".join(sorted(world.scopes))
    return JSONResponse({"access_token": world.issue_token(), "scope": scope, "expires_in": 86399})


def _queried(world: ShopifyWorld, body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
        text, variables = asked["query"], asked.get("variables") or {}
    except (ValueError, KeyError, TypeError):
        return {"errors": [{"message": "query is missing"}]}
    try:
        document = queries.checked(text)
    except queries.Refused as refused:
        return {"errors": refused.errors}
    operation = queries.operation_of(document)
    requested = queries.cost(document, variables)
    now = world.clock.now()
    if requested > world.most_of_one_query:
        message = f"Query cost is {requested:.0f}, which exceeds the single query max cost limit"
        return {"errors": [{"message": message, "extensions": {"code": "MAX_COST_EXCEEDED", "cost": requested}}]}
    if requested > world.bucket.available(now):
        throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return {"errors": [throttled], "extensions": _costs(world, requested, None)}
    told = queries.answer(world, document, variables)
    actual = min(requested, queries.points_of(told["data"]))
    world.bucket.level -= actual
    world.answered(operation.name.value if operation.name else "")
    return {**told, "extensions": _costs(world, requested, actual)}


def _costs(world: ShopifyWorld, requested: float, actual: float | None) -> Mapping[str, Any]:
    status = {
        "maximumAvailable": world.bucket.size,
        "currentlyAvailable": int(world.bucket.level),
        "restoreRate": world.bucket.restore_rate,
    }
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def _file(world: ShopifyWorld, request: Request, number: str) -> Response:
    bulk = world.bulks.get(f"gid://shopify/BulkOperation/{number}")
    if bulk is None or request.query_params.get("signature") != "demo" or request.method != "GET":
        return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
    # The file lies with somebody else, whom the shop's token is none of the business of.
    if "x-shopify-access-token" in request.headers:
        return Response("<Error><Code>InvalidArgument</Code></Error>", 400, media_type="application/xml")
    content = "".join(f"{line}\n" for line in bulk.lines).encode()
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None:
        return Response(content, media_type="application/jsonl")
    begin, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
    if begin >= len(content):
        return Response("", 416, {"Content-Range": f"bytes */{len(content)}"})
    span = {"Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}
    return Response(content[begin:end], 206, span, media_type="application/jsonl")
