"""Routes by which a person or a test changes the chain while it is served: ``/_sandbox/chain/...``.

Offering ids contain a slash, so every argument stands in the JSON body.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.sandbox.cometbft.websocket import EventSockets
from sync_pipelines.sandbox.cometbft.world import ChainWorld

Action = Callable[[Mapping[str, Any]], object]


def admin_routes(world: ChainWorld, sockets: EventSockets) -> list[Route]:
    """Return the routes over one world and its websockets."""
    actions = _actions(world, sockets)

    async def describe(_: Request) -> Response:
        return JSONResponse(
            {
                "chain_id": world.chain_id,
                "height": world.height,
                "earliest_height": world.earliest_height,
                "sequence": world.sequence,
                "catching_up": world.catching_up,
                "offerings": world.offering_ids(),
                "actions": sorted(actions),
            }
        )

    async def act(request: Request) -> Response:
        action = actions.get(request.path_params["action"])
        if action is None:
            return JSONResponse({"error": f"no such action; there are {', '.join(sorted(actions))}"}, 404)
        try:
            arguments = json.loads(await request.body() or b"{}")
            outcome = action(arguments)
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument or unknown offering: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)
        return JSONResponse({"result": outcome, "height": world.height})

    return [
        Route("/_sandbox/chain", describe, methods=["GET"]),
        Route("/_sandbox/chain/{action}", act, methods=["POST"]),
    ]


def _actions(world: ChainWorld, sockets: EventSockets) -> dict[str, Action]:
    return {
        "create": lambda a: world.create_offering(a["provider"], a["offering"]),
        "update": lambda a: world.update_offering(a["id"], a["changes"]),
        "terminate": lambda a: world.terminate_offering(a["id"], a.get("reason", "")),
        "count_order": lambda a: world.count_order(a["id"]),
        "delete": lambda a: world.delete_offering(a["id"]),
        "failed_tx": lambda a: world.failed_tx(),
        "empty_blocks": lambda a: [world.empty_block().height for _ in range(int(a.get("count", 1)))],
        "skip_sequence": lambda a: world.skip_event_sequence(int(a.get("count", 1))),
        "prune": lambda a: world.prune(int(a["below"])),
        "catching_up": lambda a: setattr(world, "catching_up", bool(a["value"])),
        "silence_sockets": lambda a: setattr(sockets, "silent", bool(a.get("value", True))),
        "drop_sockets": lambda a: sockets.drop(),
        "stop_node": lambda a: sockets.stop_node(),
    }
