"""The ASGI application of a Director: authentication, dispatch, and the exact form of every answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.bosh import deployment_calls, event_calls, inventory_calls, task_calls
from sync_pipelines.sandbox.bosh.access import caller
from sync_pipelines.sandbox.bosh.calls import JSON, Answer, Call, json_answer
from sync_pipelines.sandbox.bosh.errors import CHALLENGE, TEXT, Refusal, no_endpoint, refused
from sync_pipelines.sandbox.bosh.world import DirectorWorld

_LONGEST_CONTEXT_ID = 64

_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[[Call], Answer]], ...] = tuple(
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", r"/deployments/?", deployment_calls.list_all),
        ("POST", r"/deployments/?", deployment_calls.create),
        ("GET", r"/deployments/(?P<name>[^/]+)", deployment_calls.show),
        ("DELETE", r"/deployments/(?P<name>[^/]+)", deployment_calls.delete),
        ("GET", r"/deployments/(?P<name>[^/]+)/vms", deployment_calls.vms),
        ("GET", r"/deployments/(?P<name>[^/]+)/instances", deployment_calls.instances),
        ("GET", r"/tasks/?", task_calls.list_all),
        ("POST", r"/tasks/cancel", task_calls.cancel_many),
        ("GET", r"/tasks/(?P<task>[^/]+)", task_calls.show),
        ("GET", r"/tasks/(?P<task>[^/]+)/output", task_calls.output),
        ("DELETE", r"/task/(?P<task>[^/]+)", task_calls.cancel),
        ("GET", r"/events/?", event_calls.list_page),
        ("GET", r"/events/(?P<event>[^/]+)", event_calls.show),
        ("GET", r"/locks/?", task_calls.locks),
        ("GET", r"/releases/?", inventory_calls.releases),
        ("GET", r"/stemcells/?", inventory_calls.stemcells),
        ("GET", r"/configs/?", inventory_calls.configs),
    )
)
_KNOWN_TOPS = frozenset(pattern.pattern.split("/")[1].removesuffix("?") for _, pattern, _ in _ROUTES)


def director_application(world: DirectorWorld) -> ASGIApp:
    """Return an application that serves ``world`` as a Director 282 would."""
    listings: dict[Any, tuple[int, bytes]] = {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        world.in_flight += 1
        world.most_in_flight = max(world.most_in_flight, world.in_flight)
        try:
            if world.latency_seconds:
                await asyncio.sleep(world.latency_seconds)
            # Everything within is done without awaiting, so that each request is a transaction.
            with world.guard:
                world.settle()
                response = _Exchange(world, request, body, listings).respond()
                world.answered(request.method, request.url.path)
        finally:
            world.in_flight -= 1
        await response(scope, receive, send)

    return application


class _Exchange:
    """One request on its way to an answer."""

    def __init__(
        self, world: DirectorWorld, request: Request, body: bytes, listings: dict[Any, tuple[int, bytes]]
    ) -> None:
        self._world = world
        self._request = request
        self._body = body
        self._listings = listings
        self._path = request.scope["path"]
        self._method = "GET" if request.method == "HEAD" else request.method

    def respond(self) -> Response:
        top = self._path.split("/")[1]
        if top == "info":
            return _response(self._info())
        if top not in _KNOWN_TOPS:
            return _response(Answer(f"Not Found: {self._path}".encode(), "text/plain", 404))
        try:
            answer = self._answer()
        except Refusal as refusal:
            answer = Answer(refusal.body.encode(), refusal.content_type, refusal.status, refusal.headers)
        return _response(answer, CHALLENGE)

    def _answer(self) -> Answer:
        who = caller(self._world, self._request.headers.get("authorization", ""))
        if who is None:
            raise Refusal(401, f"Not authorized: '{self._path}'\n", TEXT)
        if len(self._request.headers.get("x-bosh-context-id", "")) > _LONGEST_CONTEXT_ID:
            limit = f"X-Bosh-Context-Id cannot be more than {_LONGEST_CONTEXT_ID} characters in length"
            raise refused(400, 70010, limit)
        for method, pattern, handler in _ROUTES:
            found = pattern.fullmatch(self._path) if method == self._method else None
            if found:
                return handler(
                    Call(
                        world=self._world,
                        caller=who,
                        method=self._method,
                        base=self._base(),
                        path=self._path,
                        query=dict(parse_qsl(self._request.url.query, keep_blank_values=True)),
                        headers={name.lower(): value for name, value in self._request.headers.items()},
                        body=self._body,
                        is_http_1_0=self._request.scope["http_version"] == "1.0",
                        listings=self._listings,
                        names=found.groupdict(),
                    )
                )
        raise no_endpoint(self._path)

    def _base(self) -> str:
        scheme = self._request.headers.get("x-forwarded-proto", self._request.scope["scheme"])
        return f"{scheme}://{self._request.headers.get('host', '')}"

    def _info(self) -> Answer:
        """Return what everybody may know."""
        world, who = self._world, caller(self._world, self._request.headers.get("authorization", ""))
        if world.uaa is None:
            authentication: dict[str, Any] = {"type": "basic", "options": {}}
        else:
            authentication = {"type": "uaa", "options": {"url": world.uaa.url, "urls": [world.uaa.url]}}
        info = {
            "name": world.name,
            "uuid": world.uuid,
            "version": f"{world.version} (00000000)",
            "user": who.name if who else None,
            "cpi": "dummy",
            "stemcell_os": "-",
            "stemcell_version": "-",
            "user_authentication": authentication,
            "features": {
                "local_dns": {"status": False, "extras": {"domain_name": "bosh"}},
                "snapshots": {"status": False},
                "config_server": {"status": False, "extras": {"urls": []}},
            },
        }
        return json_answer(info, JSON)


def _response(answer: Answer, extra: dict[str, str] | None = None) -> Response:
    kind = {"Content-Type": answer.content_type} if answer.content_type else {}
    return Response(answer.body, answer.status, {**kind, **answer.headers, **(extra or {})})
