"""Routes by which a person or another process changes the Director while it is served: ``/_sandbox/director/...``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.bosh.world import DirectorWorld

ADMIN_PATH = "/_sandbox/director"

Action = Callable[[Mapping[str, Any]], object]


class Administered:
    """ASGI middleware that serves the routes of one world, and hands everything else to the application."""

    def __init__(self, app: ASGIApp, world: DirectorWorld) -> None:
        self._app = app
        self._world = world
        self._actions = _actions(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{ADMIN_PATH}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        response = self._describe() if request.method == "GET" else self._act(request, await request.body())
        await response(scope, receive, send)

    def _describe(self) -> Response:
        with self._world.guard:
            told = {
                "uuid": self._world.uuid,
                "deployments": sorted(self._world.deployments),
                "locked": sorted(self._world.locks),
                "events": len(self._world.events),
                "actions": sorted(self._actions),
            }
        return JSONResponse(told)

    def _act(self, request: Request, body: bytes) -> Response:
        action = self._actions.get(request.url.path.removeprefix(f"{ADMIN_PATH}/"))
        if request.method != "POST" or action is None:
            return JSONResponse({"error": f"POST to one of {', '.join(sorted(self._actions))}"}, 404)
        try:
            arguments = json.loads(body or b"{}")
            with self._world.guard:
                return JSONResponse({"result": action(arguments)})
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument or unknown deployment: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)


def _actions(world: DirectorWorld) -> dict[str, Action]:
    return {
        "deploy": lambda a: world.deploy(a["name"], a.get("manifest"), **_parts(a)),
        "update": lambda a: world.update(a["name"], a.get("manifest"), **_parts(a)),
        "delete": lambda a: world.delete(a["name"]),
        "lock": lambda a: world.lock(a["name"]),
        "unlock": lambda a: world.unlock(a["name"]),
        "kill_agents": lambda a: world.set_agents(a["name"], dead=True),
        "revive_agents": lambda a: world.set_agents(a["name"], dead=False),
        "add_events": lambda a: world.add_events(int(a["count"]), a.get("deployment")),
        "prune_events": lambda a: world.events.prune(int(a["keep"])),
        "latency": lambda a: world.set_latency(float(a["seconds"])),
        "break": lambda a: world.broken.add(world.deployments[a["name"]].name),
        "mend": lambda a: world.broken.discard(a["name"]),
    }


def _parts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a deployment that are named, with versions as pairs."""
    parts: dict[str, Any] = {}
    for name in ("releases", "stemcells"):
        if name in arguments:
            parts[name] = tuple((str(pair[0]), str(pair[1])) for pair in arguments[name])
    if "teams" in arguments:
        parts["teams"] = tuple(arguments["teams"])
    return parts
