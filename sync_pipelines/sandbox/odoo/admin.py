"""Routes by which a person or another process changes the database while it is served: ``/_sandbox/odoo/...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Action, Administered
from sync_pipelines.sandbox.odoo.errors import OdooError
from sync_pipelines.sandbox.odoo.slow import Held, SlowWrite
from sync_pipelines.sandbox.odoo.world import OdooWorld

ADMIN_PATH = "/_sandbox/odoo"


def administered(app: ASGIApp, world: OdooWorld) -> ASGIApp:
    """Serve the routes of one database in front of the application."""
    routes = _Routes(world)
    return Administered(app, ADMIN_PATH, routes.actions(), routes.describe, refusals={OdooError: 409})


class _Routes:
    """What may be done to one database, with what was begun and is not ended yet."""

    def __init__(self, world: OdooWorld) -> None:
        self._world = world
        self._slow: dict[str, SlowWrite] = {}
        self._held: dict[str, Held] = {}

    def describe(self) -> Mapping[str, Any]:
        """Return how many records each model has, and the transactions that are open."""
        with self._world.guard:
            records = {name: len(model.table.rows) for name, model in sorted(self._world.models.items())}
        return {"records": records, "slow": sorted(self._slow)}

    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
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
