"""The ASGI application of a shop: access, dispatch, and the exact form of every answer."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.woocommerce.access import Shown
from sync_pipelines.sandbox.woocommerce.calls import Answer, Call, encoded
from sync_pipelines.sandbox.woocommerce.errors import ApiError, PhpCrash, no_route
from sync_pipelines.sandbox.woocommerce.links import BASE
from sync_pipelines.sandbox.woocommerce.routes import Route, resolve
from sync_pipelines.sandbox.woocommerce.state import ShopState

_ARRAY = re.compile(r"(?P<name>[^\[]+)\[\d*\]")
_PAGE = "<!DOCTYPE html>\n<html><head><title>Page not found</title></head><body><h1>Page not found</h1></body></html>\n"


def shop_application(world: ShopState) -> ASGIApp:
    """Return an application that serves ``world`` as WooCommerce 11.0.1 on WordPress 7.0.4 would."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        seconds = world.latency_seconds + world.latency_per_item_seconds * _items(request.url.path, body)
        if seconds:
            await asyncio.sleep(seconds)
        # Everything within is done without awaiting, so that each request is a transaction.
        with world.guard:
            response = _Exchange(world, request, body).respond()
            world.answered(request.method, request.url.path)
        await response(scope, receive, send)

    return application


class _Exchange:
    """One request on its way to an answer."""

    def __init__(self, world: ShopState, request: Request, body: bytes) -> None:
        self._world = world
        self._request = request
        self._body = body
        self._route: Route | None = None

    def respond(self) -> Response:
        path = self._request.scope["path"].rstrip("/")
        if path != BASE and not path.startswith(f"{BASE}/"):
            return Response(_PAGE, 404, {"Content-Type": "text/html; charset=UTF-8"})
        try:
            answer = self._answer(path.removeprefix(BASE).lstrip("/"))
        except ApiError as error:
            answer = Answer(encoded(error.body), error.status, shows_methods=not error.hides_methods)
        except PhpCrash as crash:
            answer = Answer(encoded(crash.body), 500, shows_methods=False)
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        headers["Link"] = f'<{self._world.site_url}/wp-json/>; rel="https://api.w.org/"'
        if self._route is not None and answer.shows_methods:
            headers["Allow"] = self._route.allow
        return Response(answer.text.encode(), answer.status, {**headers, **answer.headers})

    def _answer(self, path: str) -> Answer:
        request, world = self._request, self._world
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        key = world.access.holder(
            Shown(
                request.method,
                world.is_secure(request.url.scheme, request.headers),
                world.site_url + request.scope["path"],
                request.headers.get("authorization", ""),
                dict(pairs),
            )
        )
        found = resolve(path, request.method)
        if found is None:
            raise no_route()
        route, handler, names = found
        if path and (key is None or not key.manages_shop):
            raise ApiError(403 if key else 401, *route.refusal(request.method), hides_methods=True)
        self._route = route
        return handler(Call(world, request.method, path, _parameters(pairs), self._body, names))


def _parameters(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return parameters as PHP reads them: ``a[]=1`` and ``a[0]=1`` are elements of a list."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        element = _ARRAY.fullmatch(name)
        if element is None:
            found[name] = value
        elif isinstance(found.setdefault(element["name"], []), list):
            found[element["name"]].append(value)
    return found


def _items(path: str, body: bytes) -> int:
    """Return how many operations a batch asks for."""
    if not path.endswith("/batch"):
        return 0
    try:
        asked = json.loads(body)
    except ValueError:
        return 0
    return sum(len(rows) for rows in asked.values() if isinstance(rows, list)) if isinstance(asked, dict) else 0
