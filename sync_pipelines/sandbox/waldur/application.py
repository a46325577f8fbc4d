"""The ASGI application: authentication, method check, dispatch, and the exact form of every answer."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from sync_pipelines.sandbox.waldur.calls import NO_BODY, Answer, Call
from sync_pipelines.sandbox.waldur.errors import ApiError, DatabaseGone, NothingThere, ServerCrash, detail
from sync_pipelines.sandbox.waldur.model import User
from sync_pipelines.sandbox.waldur.routes import Route, resolve
from sync_pipelines.sandbox.waldur.world import Mutation, WaldurWorld

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HTML = "text/html; charset=utf-8"
_PAGE = '<!doctype html>\n<html lang="en">\n<head><title>{0}</title></head>\n<body><h1>{0}</h1></body>\n</html>\n'


def waldur_application(world: WaldurWorld) -> Starlette:
    """An application that serves ``world`` as a Waldur 7.0.7 server would."""

    async def endpoint(request: Request) -> Response:
        return _Exchange(world, request, await request.body()).respond()

    return Starlette(routes=[StarletteRoute("/{path:path}", endpoint, methods=_METHODS)])


class _Exchange:
    """One request on its way to an answer. Handlers run without awaiting, so each one is a transaction."""

    def __init__(self, world: WaldurWorld, request: Request, body: bytes) -> None:
        self._world = world
        self._request = request
        self._body = body

    def respond(self) -> Response:
        path = self._request.url.path
        if not path.endswith("/"):
            return self._redirect(path) if resolve(f"{path}/") else _page(404, "Not Found")
        found = resolve(path)
        if found is None:
            return _page(404, "Not Found")
        route, names = found
        try:
            return self._render(route, self._answer(route, names))
        except ServerCrash:
            return _page(500, "Server Error (500)")
        except DatabaseGone:
            return Response("<html><h1>Internal Server Error</h1></html>\n", 500, {"Content-Type": "text/html"})

    def _redirect(self, path: str) -> Response:
        """Django sends clients to the path with the slash before it looks at credentials or method."""
        query = self._request.url.query
        location = f"{path}/" + (f"?{query}" if query else "")
        return Response(b"", 301, {"Location": location, "Content-Type": _HTML})

    def _answer(self, route: Route, names: dict[str, str]) -> Answer:
        try:
            self._check_accept()
            call = self._call(self._authenticate(route), names)
            answer = self._dispatch(route, call)
        except ApiError as error:
            return Answer(error.status, error.body, error.headers)
        except NothingThere:
            return Answer(404)
        method = self._request.method
        if method not in _SAFE:
            actor = call.user.username if call.user else None
            self._world.mutations.append(Mutation(method, call.path, actor, call.data() if self._body else None))
            if self._world.broker_is_down and method in route.publishes:
                raise ServerCrash("the event could not be published; the transaction is committed")
        return answer

    def _dispatch(self, route: Route, call: Call) -> Answer:
        method = self._request.method
        if method == "OPTIONS":
            return Answer(200, {"name": "Waldur stand-in"})
        handler = route.handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise detail(405, f'Method "{method}" not allowed.')
        if call.user is None and method not in _SAFE:
            raise _unauthenticated("Authentication credentials were not provided.")
        return handler(call)

    def _call(self, user: User | None, names: dict[str, str]) -> Call:
        request = self._request
        return Call(
            world=self._world,
            user=user,
            base=f"http://{request.headers.get('host', '')}",
            path=request.url.path,
            query=parse_qsl(request.url.query, keep_blank_values=True),
            content_type=request.headers.get("content-type", "").partition(";")[0].strip(),
            raw_body=self._body,
            names=names,
        )

    def _check_accept(self) -> None:
        ranges = [part.partition(";")[0].strip() for part in self._request.headers.get("accept", "*/*").split(",")]
        if not {"*/*", "application/*", "application/json", "text/html", "text/*"} & set(ranges):
            raise detail(406, "Could not satisfy the request Accept header.")

    def _wants_page(self) -> bool:
        accept = self._request.headers.get("accept", "*/*")
        return "text/html" in accept and "application/json" not in accept

    def _authenticate(self, route: Route) -> User | None:
        """The user of the token; needs the database, unlike the refusal of a request that shows none."""
        prefix, _, token = self._request.headers.get("authorization", "").strip().partition(" ")
        has_token = prefix.lower() == "token"
        if not has_token and not route.anonymous:
            raise _unauthenticated("Authentication credentials were not provided.")
        if self._world.database_is_down:
            raise DatabaseGone
        if self._world.meets_stale_connection():
            raise ServerCrash("stale database connection")
        return self._user_of(token.strip()) if has_token else None

    def _user_of(self, token: str) -> User:
        if not token:
            raise _unauthenticated("Invalid token. No credentials provided.")
        if " " in token:
            raise _unauthenticated("Invalid token. Token string should not contain spaces.")
        user = self._world.users.get(token)
        if user is None:
            raise _unauthenticated("Invalid token.")
        if not user.is_active:
            raise _unauthenticated("User inactive or deleted.")
        if user.token_expired:
            raise _unauthenticated("Token has expired.")
        return user

    def _render(self, route: Route, answer: Answer) -> Response:
        headers = {"Allow": route.allow, **answer.headers}
        if answer.body is NO_BODY:
            return Response(b"", answer.status, headers)
        text = _json(answer.body)
        if self._wants_page():
            return Response(
                f"<!DOCTYPE html>\n<pre>{html.escape(text)}</pre>\n", answer.status, headers | {"Content-Type": _HTML}
            )
        return Response(text, answer.status, headers | {"Content-Type": "application/json"})


def _page(status: int, title: str) -> Response:
    return Response(_PAGE.format(title), status, {"Content-Type": _HTML})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unauthenticated(message: str) -> ApiError:
    return detail(401, message, {"WWW-Authenticate": "Token"})
