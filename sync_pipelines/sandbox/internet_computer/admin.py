"""Routes by which a person or another process changes the ledger while it is served: ``/_sandbox/ledger/...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.administration import Action, Administered
from sync_pipelines.sandbox.internet_computer.faults import reject
from sync_pipelines.sandbox.internet_computer.ledger_canister import LedgerCanister
from sync_pipelines.sandbox.internet_computer.ledger_world import LedgerWorld
from sync_pipelines.sandbox.internet_computer.replica import Replica

ADMIN_PATH = "/_sandbox/ledger"


def administered(app: ASGIApp, replica: Replica, canister: LedgerCanister) -> ASGIApp:
    """Serve the routes of one ledger in front of the application; every action answers with what it led to."""
    world = canister.world
    return Administered(
        app,
        ADMIN_PATH,
        _actions(replica, canister),
        lambda: _described(world),
        guard=world.guard,
        answer=lambda _: _described(world),
    )


def _described(world: LedgerWorld) -> Mapping[str, Any]:
    with world.guard:
        tip = world.chain.tip()
        return {
            "canister_id": world.canister_id,
            "data_start": world.chain.data_start,
            "blocks": tip.blocks,
            "end": tip.end,
            "latest_hash": tip.hash.hex(),
            "latest_ns": tip.timestamp_ns,
            "entries": sum(block.entries for block in world.chain.blocks),
            "pending": len(world.pending),
        }


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
