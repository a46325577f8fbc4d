"""Routes by which a person or another process changes a stand-in's world while it is served: ``/_sandbox/...``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

Action = Callable[[Mapping[str, Any]], object]
"""Changes the world by the arguments of a request, and returns what JSON can tell."""


class Administered:
    """ASGI middleware that serves the routes of one world, and hands everything else to the application.

    GET tells what the world holds and what may be done; POST to ``<path>/<action>`` does it, with the arguments as a
    JSON object.

    Arguments:
        path: where the routes lie, e.g. ``/_sandbox/shop``.
        actions: by name.
        describe: returns what the world holds.
        guard: held while an action runs. Without it each action sees to that itself.
        answer: makes the body of an answer from what an action returned.
        refusals: exceptions of the world by which it refuses an action -> HTTP status.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        actions: Mapping[str, Action],
        describe: Callable[[], Mapping[str, Any]],
        *,
        guard: AbstractContextManager[Any] | None = None,
        answer: Callable[[Any], Mapping[str, Any]] = lambda result: {"result": result},
        refusals: Mapping[type[Exception], int] | None = None,
    ) -> None:
        self._app = app
        self._path = path
        self._actions = actions
        self._describe = describe
        self._guard = guard or nullcontext()
        self._answer = answer
        self._refusals = refusals or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{self._path}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if request.method == "GET":
            response: Response = JSONResponse({**self._describe(), "actions": sorted(self._actions)})
        else:
            # An action may wait for others, who may ask this very server meanwhile.
            response = await asyncio.to_thread(self._act, request, await request.body())
        await response(scope, receive, send)

    def _act(self, request: Request, body: bytes) -> Response:
        action = self._actions.get(request.url.path.removeprefix(f"{self._path}/"))
        if request.method != "POST" or action is None:
            return JSONResponse({"error": f"POST to one of {', '.join(sorted(self._actions))}"}, 404)
        try:
            arguments = json.loads(body or b"{}")
            with self._guard:
                result = action(arguments)
        except tuple(self._refusals) as refusal:
            status = next(status for kind, status in self._refusals.items() if isinstance(refusal, kind))
            return JSONResponse({"error": str(refusal)}, status)
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument or unknown name: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)
        return JSONResponse(self._answer(result))
