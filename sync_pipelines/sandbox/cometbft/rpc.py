"""JSON-RPC over HTTP: GET with one method a path, POST with one call or a batch of at most ten.

A failing GET is HTTP 500 with id -1, a failing POST is HTTP 200; a body that is not JSON is 500 without an id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sync_pipelines.sandbox.cometbft import params
from sync_pipelines.sandbox.cometbft.failures import RpcFailure, invalid_request, parse_error, unknown_method
from sync_pipelines.sandbox.cometbft.methods import METHODS
from sync_pipelines.sandbox.cometbft.world import ChainWorld

MAX_BATCH = 10
MAX_BODY = 1_000_000
SOCKET_METHODS = frozenset({"subscribe", "unsubscribe", "unsubscribe_all"})
NO_ID = object()


class HttpRpc:
    """The HTTP side of a node's RPC over one world."""

    def __init__(self, world: ChainWorld) -> None:
        self._world = world

    async def get(self, request: Request) -> Response:
        """Answer ``GET /<method>?...``."""
        name = request.path_params["method"]
        if name in SOCKET_METHODS:
            return reply(envelope(-1, unknown_method()), 404)
        method = METHODS.get(name)
        if method is None:
            return PlainTextResponse("404 page not found\n", 404)
        try:
            arguments = params.from_query(method.parameters, request.query_params)
            return reply(envelope(-1, method.answer(self._world, arguments)))
        except RpcFailure as failure:
            return reply(envelope(-1, failure), 500)

    async def post(self, request: Request) -> Response:
        """Answer ``POST /``."""
        body = await request.body()
        if len(body) > MAX_BODY:
            failure = invalid_request("error reading request body: http: request body too large")
            return reply(envelope(NO_ID, failure), 400)
        if not body:
            return await endpoints(request)
        try:
            calls = json.loads(body)
        except ValueError as problem:
            return reply(envelope(NO_ID, parse_error(f"error unmarshaling request: {_go_reason(body, problem)}")), 500)
        batch = isinstance(calls, list)
        if batch and len(calls) > MAX_BATCH:
            text = f"batch request exceeds maximum ({MAX_BATCH}) allowed number of requests"
            return reply(envelope(NO_ID, invalid_request(text)))
        answers = [answer for call in (calls if batch else [calls]) if (answer := self._call(call)) is not None]
        if not answers:
            return Response(b"")
        return reply(answers if batch else answers[0])

    def _call(self, call: object) -> dict[str, Any] | None:
        if not isinstance(call, dict):
            return envelope(NO_ID, parse_error("error unmarshaling request: json: cannot unmarshal"))
        if call.get("id") is None:
            return None
        return answer_call(self._world, call)


def answer_call(world: ChainWorld, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope that answers one JSON call with an id."""
    try:
        method = METHODS.get(call.get("method", ""))
        if method is None:
            raise unknown_method()
        return envelope(call["id"], method.answer(world, params.from_json(method.parameters, call.get("params"))))
    except RpcFailure as failure:
        return envelope(call["id"], failure)


def envelope(call_id: object, outcome: Any) -> dict[str, Any]:
    """Return the JSON-RPC frame of a result or a failure; a call that could not be read has no id."""
    frame: dict[str, Any] = {"jsonrpc": "2.0"}
    if call_id is not NO_ID:
        frame["id"] = call_id
    return {**frame, "error": outcome.body} if isinstance(outcome, RpcFailure) else {**frame, "result": outcome}


def reply(content: Any, status: int = 200) -> Response:
    """Return a JSON answer with the node's content type."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, headers={"Content-Type": "application/json"})


async def endpoints(_: Request) -> Response:
    """Answer ``GET /``: a page that lists the methods."""
    links = "".join(f'<a href="/{name}">/{name}</a></br>' for name in METHODS)
    return Response(f"<html><body><br>Available endpoints:<br>{links}</body></html>", media_type="text/html")


def _go_reason(body: bytes, problem: ValueError) -> str:
    if isinstance(problem, json.JSONDecodeError):
        unterminated = problem.msg.startswith("Unterminated") or problem.pos >= len(body.decode("utf-8", "replace"))
        if not unterminated:
            return f"invalid character '{problem.doc[problem.pos]}' looking for beginning of value"
    return "unexpected end of JSON input"
