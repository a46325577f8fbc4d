"""Routes by which a person or another process changes the database while it is served: ``/_sandbox/odoo/...``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.odoo.errors import OdooError
from sync_pipelines.sandbox.odoo.slow import Held, SlowWrite
from sync_pipelines.sandbox.odoo.world import OdooWorld

ADMIN_PATH = "/_sandbox/odoo"

Action = Callable[[Mapping[str, Any]], object]


class Administered:
    """ASGI middleware that serves the routes of one world, and hands everything else to the application."""

    def __init__(self, app: ASGIApp, world: OdooWorld) -> None:
        self._app = app
        self._world = world
        self._slow: dict[str, SlowWrite] = {}
        self._held: dict[str, Held] = {}
        self._actions = self._known()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{ADMIN_PATH}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        response = self._describe() if request.method == "GET" else self._act(request, await request.body())
        await response(scope, receive, send)

    def _describe(self) -> Response:
        with self._world.guard:
            records = {name: len(model.table.rows) for name, model in sorted(self._world.models.items())}
        return JSONResponse({"records": records, "slow": sorted(self._slow), "actions": sorted(self._actions)})

    def _act(self, request: Request, body: bytes) -> Response:
        action = self._actions.get(request.url.path.removeprefix(f"{ADMIN_PATH}/"))
        if request.method != "POST" or action is None:
            return JSONResponse({"error": f"POST to one of {', '.join(sorted(self._actions))}"}, 404)
        try:
            return JSONResponse({"result": action(json.loads(body or b"{}"))})
        except OdooError as refusal:
            return JSONResponse({"error": f"{refusal.name}: {refusal.message}"}, 409)
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument or unknown name: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)

    def _known(self) -> dict[str, Action]:
        world = self._world
        return {
            "create": lambda a: world.create(a["model"], **a["values"]),
            "write": lambda a: world.write(a["model"], int(a["id"]), **a.get("values", {})),
            "unlink": lambda a: world.unlink(a["model"], *a["ids"]),
            "call": lambda a: world.call(a["model"], a["method"], *a["ids"]),
            "set_stock": lambda a: world.set_stock(int(a["product"]), float(a["quantity"])),
            "begin_slow_write": self._begin,
            "slow_create": lambda a: self._slow[a["name"]].create(a["model"], **a["values"]),
            "slow_write": lambda a: self._slow[a["name"]].write(a["model"], int(a["id"]), **a["values"]),
            "commit": lambda a: self._slow.pop(a["name"]).commit(),
            "rollback": lambda a: self._slow.pop(a["name"]).rollback(),
            "hold": lambda a: self._held.__setitem__(a["call"], world.hold(a["call"])),
            "release": lambda a: self._held.pop(a["call"]).release(),
            "advance_clock": lambda a: world.clock.advance(float(a["seconds"])),
            "latency": self._latency,
            "serialization_failures": lambda a: world.serialization_failures(int(a["times"]), a.get("call", "")),
            "revoke": lambda a: world.revoke(a["key"]),
        }

    def _begin(self, arguments: Mapping[str, Any]) -> str:
        slow = self._slow[arguments.get("name", "slow")] = self._world.begin_slow_write()
        return slow.began

    def _latency(self, arguments: Mapping[str, Any]) -> None:
        self._world.latency_seconds = float(arguments["seconds"])
