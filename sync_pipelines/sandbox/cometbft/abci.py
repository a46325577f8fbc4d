"""``abci_query`` on the application's raw stores, with its treacherous answers.

A height that was pruned or does not exist yet is answered with code 0 and a null value, exactly like a missing key:
only ``log`` tells. A key without a value is null, an empty subspace is the empty string.
"""

from __future__ import annotations

import base64
from typing import Any

from sync_pipelines.sandbox.cometbft.blocks import digest
from sync_pipelines.sandbox.cometbft.store import encode_pairs
from sync_pipelines.sandbox.cometbft.world import ChainWorld


def abci_query(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``abci_query`` for ``/store/<name>/key`` and ``/store/<name>/subspace``."""
    path, data = arguments.get("path", ""), arguments.get("data", b"")
    parts = path.strip("/").split("/")
    if not path:
        return _refused(6, "no query path provided: unknown request", "sdk")
    if parts[0] != "store" or len(parts) < 3:
        return _refused(6, "unknown query path: unknown request", "sdk")
    if parts[1] != world.store_name:
        return _refused(4, f"no such store: {parts[1]}: unknown request", "store")
    if not data:
        return _refused(3, "query cannot be zero length: tx parse error", "store")
    action = "/".join(parts[2:])
    if action not in ("key", "subspace"):
        return _refused(4, f"unexpected query path: /{action}: unknown request", "store")
    height = arguments.get("height") or world.height
    if not world.lowest_state <= height <= world.height:
        return _response(data, height, None, log="version does not exist")
    if action == "subspace":
        return _response(data, height, encode_pairs(world.store.subspace(data, height)))
    proof = _proof(world, data) if arguments.get("prove") else None
    return _response(data, height, world.store.get(data, height), proof=proof)


def _response(key: bytes, height: int, value: bytes | None, *, log: str = "", proof: Any = None) -> dict[str, Any]:
    text = None if value is None else base64.b64encode(value).decode()
    answer = {"code": 0, "log": log, "info": "", "index": "0", "key": base64.b64encode(key).decode(), "value": text}
    return {"response": {**answer, "proofOps": proof, "height": str(height), "codespace": ""}}


def _refused(code: int, log: str, codespace: str) -> dict[str, Any]:
    answer = {"code": code, "log": log, "info": "", "index": "0", "key": None, "value": None, "proofOps": None}
    return {"response": {**answer, "height": "0", "codespace": codespace}}


def _proof(world: ChainWorld, key: bytes) -> dict[str, Any]:
    data = base64.b64encode(digest(world.chain_id, "proof", key).encode()).decode()
    store = base64.b64encode(world.store_name.encode()).decode()
    return {
        "ops": [
            {"type": "ics23:iavl", "key": base64.b64encode(key).decode(), "data": data},
            {"type": "ics23:simple", "key": store, "data": data},
        ]
    }
