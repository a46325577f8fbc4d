"""Routes by which a person or another process changes the ledger while it is served: ``/_sandbox/ledger/...``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.internet_computer.faults import reject
from sync_pipelines.sandbox.internet_computer.ledger_canister import LedgerCanister
from sync_pipelines.sandbox.internet_computer.replica import Replica

ADMIN_PATH = "/_sandbox/ledger"

Action = Callable[[Mapping[str, Any]], object]


class Administered:
    """ASGI middleware that serves the routes of one ledger, and hands everything else to the application."""

    def __init__(self, app: ASGIApp, replica: Replica, canister: LedgerCanister) -> None:
        self._app = app
        self._world = canister.world
        self._actions = _actions(replica, canister)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{ADMIN_PATH}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        response = self._describe() if request.method == "GET" else self._act(request, await request.body())
        await response(scope, receive, send)

    def _describe(self) -> Response:
        with self._world.guard:
            tip = self._world.chain.tip()
            told = {
                "canister_id": self._world.canister_id,
                "data_start": self._world.chain.data_start,
                "blocks": tip.blocks,
                "end": tip.end,
                "latest_hash": tip.hash.hex(),
                "latest_ns": tip.timestamp_ns,
                "entries": sum(block.entries for block in self._world.chain.blocks),
                "pending": len(self._world.pending),
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
                action(arguments)
        except KeyError as missing:
            return JSONResponse({"error": f"missing argument: {missing.args[0]}"}, 404)
        except (ValueError, TypeError) as problem:
            return JSONResponse({"error": f"the body must be a JSON object of the arguments: {problem}"}, 400)
        return self._describe()


def _actions(replica: Replica, canister: LedgerCanister) -> dict[str, Action]:
    world = canister.world
    return {
        "grow": lambda a: world.grow(int(a.get("blocks", 1)), at_ns=a.get("at_ns")),
        "stir": lambda a: world.stir(),
        "commit": lambda a: world.commit(a.get("at_ns")),
        "put": lambda a: world.put(a["label"], bytes.fromhex(a["key"]), bytes.fromhex(a["value"])),
        "delete": lambda a: world.delete(a["label"], bytes.fromhex(a["key"])),
        "reinstall": lambda a: world.reinstall(int(a.get("blocks", 3))),
        "rewrite_tail": lambda a: world.rewrite_tail(int(a["blocks"]), then=a.get("then")),
        "rewrite_last": lambda a: world.rewrite_last_at_same_length(),
        "lag": lambda a: world.lag(int(a.get("blocks", 1)), times=a.get("times")),
        "catch_up": lambda a: world.catch_up(),
        "skew": lambda a: setattr(replica, "skew_seconds", float(a["seconds"])),
        "latency": lambda a: setattr(replica, "latency_seconds", float(a["seconds"])),
        "short_by": lambda a: setattr(canister, "short_by", int(a["bytes"])),
        "reject": lambda a: reject(
            replica,
            int(a["code"]),
            a.get("message"),
            a.get("error_code"),
            method=a.get("method", ".*"),
            times=a.get("times"),
        ),
        "answer_again": lambda a: replica.rejects.clear(),
    }
