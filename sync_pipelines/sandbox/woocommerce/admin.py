"""Routes by which a person or another process changes the shop while it is served: ``/_sandbox/shop/...``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.world import ShopWorld

ADMIN_PATH = "/_sandbox/shop"

Action = Callable[[Mapping[str, Any]], object]


class Administered:
    """ASGI middleware that serves the routes of one shop, and hands everything else to the application.

    GET tells what the shop holds and what may be done; POST to ``/_sandbox/shop/<action>`` does it, with the arguments
    as a JSON object.
    """

    def __init__(self, app: ASGIApp, world: ShopWorld) -> None:
        self._app = app
        self._world = world
        self._actions = _actions(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{ADMIN_PATH}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if request.method == "GET":
            response: Response = JSONResponse({**self._world.describe(), "actions": sorted(self._actions)})
        else:
            # Deliveries wait for their receivers, which may ask this very shop.
            response = await asyncio.to_thread(self._act, request, await request.body())
        await response(scope, receive, send)

    def _act(self, request: Request, body: bytes) -> Response:
        action = self._actions.get(request.url.path.removeprefix(f"{ADMIN_PATH}/"))
        if request.method != "POST" or action is None:
            return JSONResponse({"error": f"POST to one of {', '.join(sorted(self._actions))}"}, 404)
        try:
            result = action(json.loads(body or b"{}"))
        except ApiError as refusal:
            return JSONResponse({"error": str(refusal)}, 400)
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument or unknown number: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)
        return JSONResponse({"result": getattr(result, "id", result)})


def _actions(world: ShopWorld) -> dict[str, Action]:
    return {
        "run_cron": lambda a: [{"topic": it.topic, "status": it.status} for it in world.run_cron()],
        "add_product": lambda a: world.add_product(**a),
        "edit_product": lambda a: world.edit_product(a["id"], **_rest(a)),
        "trash_product": lambda a: world.trash_product(a["id"]),
        "delete_product": lambda a: world.delete_product(a["id"]),
        "add_customer": lambda a: world.add_customer(**a),
        "edit_customer": lambda a: world.edit_customer(a["id"], **_rest(a)),
        "delete_customer": lambda a: world.delete_customer(a["id"]),
        "add_order": lambda a: world.add_order(**a),
        "edit_order": lambda a: world.edit_order(a["id"], **_rest(a)),
        "trash_order": lambda a: world.trash_order(a["id"]),
        "latency": lambda a: world.set_latency(float(a["seconds"]), float(a.get("per_item", 0))),
        "advance": lambda a: world.clock.advance(float(a["seconds"])),
        "revoke_key": lambda a: world.access.revoke(a["consumer_key"]),
    }


def _rest(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "id"}
