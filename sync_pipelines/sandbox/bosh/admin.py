"""Routes by which a person or another process changes the Director while it is served: ``/_sandbox/director/...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Action, Administered
from sync_pipelines.sandbox.bosh.world import DirectorWorld

ADMIN_PATH = "/_sandbox/director"


def administered(app: ASGIApp, world: DirectorWorld) -> ASGIApp:
    """Serve the routes of one world in front of the application."""
    return Administered(app, ADMIN_PATH, _actions(world), lambda: _described(world), guard=world.guard)


def _described(world: DirectorWorld) -> Mapping[str, Any]:
    with world.guard:
        return {
            "uuid": world.uuid,
            "deployments": sorted(world.deployments),
            "locked": sorted(world.locks),
            "events": len(world.events),
        }


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
