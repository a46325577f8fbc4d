"""Routes by which a person or another process changes the account while it is served: ``/_sandbox/takealot/...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Action, Administered
from sync_pipelines.sandbox.takealot.world import Row, TakealotWorld

ADMIN_PATH = "/_sandbox/takealot"


def administered(app: ASGIApp, world: TakealotWorld) -> ASGIApp:
    """Serve the routes of one account in front of the application."""
    return Administered(app, ADMIN_PATH, _actions(world), world.describe, guard=world.guard)


def _actions(world: TakealotWorld) -> dict[str, Action]:
    return {
        "add_sale": lambda a: world.add_sale(**a),
        "edit_sale": lambda a: _edited(world.sales[a["id"]], a),
        "add_offer": lambda a: world.add_offer(**a),
        "edit_offer": lambda a: _edited(world.offers[a["id"]], a),
        "remove_offer": lambda a: world.offers.pop(a["id"]),
        "next": lambda _: world.bring_forward(),
        "latency": lambda a: world.set_latency(float(a["seconds"])),
        "advance": lambda a: world.clock.advance(float(a["seconds"])),
        "replace_key": lambda a: world.replace_key(str(a["api_key"])),
    }


def _edited(row: Row, arguments: Mapping[str, Any]) -> Row:
    row.update({name: value for name, value in arguments.items() if name != "id"})
    return row
