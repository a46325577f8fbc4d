"""Routes by which a person or another process changes the shop while it is served: ``/_sandbox/shop/...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Action, Administered
from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.world import ShopWorld

ADMIN_PATH = "/_sandbox/shop"


def administered(app: ASGIApp, world: ShopWorld) -> ASGIApp:
    """Serve the routes of one shop in front of the application."""
    return Administered(
        app,
        ADMIN_PATH,
        _actions(world),
        world.describe,
        answer=lambda result: {"result": getattr(result, "id", result)},
        refusals={ApiError: 400},
    )


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
