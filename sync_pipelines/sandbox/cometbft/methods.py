"""The methods that a caller can reach by GET, by POST and over the websocket."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.cometbft import render, search
from sync_pipelines.sandbox.cometbft.abci import abci_query
from sync_pipelines.sandbox.cometbft.blocks import Block, digest, rfc3339
from sync_pipelines.sandbox.cometbft.failures import internal
from sync_pipelines.sandbox.cometbft.world import ChainWorld

MAX_HEADERS = 20


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC method: what answers it and the kinds of its parameters, in positional order."""

    answer: Callable[[ChainWorld, dict[str, Any]], Any]
    parameters: Mapping[str, str] = field(default_factory=dict)


def status(world: ChainWorld, _: dict[str, Any]) -> dict[str, Any]:
    """Answer ``status``."""
    newest, oldest = world.block_at(world.height), world.block_at(world.earliest_height)
    return {
        "node_info": {
            "protocol_version": {"p2p": "9", "block": "11", "app": "0"},
            "id": digest(world.chain_id, "node")[:40].lower(),
            "listen_addr": "tcp://0.0.0.0:26656",
            "network": world.chain_id,
            "version": world.node_version,
            "channels": "40202122233031386061",
            "moniker": "sandbox",
            "other": {"tx_index": "on" if world.tx_index else "off", "rpc_address": "tcp://0.0.0.0:26657"},
        },
        "sync_info": {
            "latest_block_hash": render.block_id(world, newest.height)["hash"],
            "latest_app_hash": render.header(world, newest)["app_hash"],
            "latest_block_height": str(newest.height),
            "latest_block_time": rfc3339(newest.time),
            "earliest_block_hash": render.block_id(world, oldest.height)["hash"],
            "earliest_app_hash": render.header(world, oldest)["app_hash"],
            "earliest_block_height": str(oldest.height),
            "earliest_block_time": rfc3339(oldest.time),
            "catching_up": world.catching_up,
        },
        "validator_info": {
            "address": render.VALIDATOR,
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": render.app_hash_base64(world, 0)},
            "voting_power": "1000",
        },
    }


def health(_: ChainWorld, __: dict[str, Any]) -> dict[str, Any]:
    """Answer ``health``: nothing, but the node lives."""
    return {}


def abci_info(world: ChainWorld, _: dict[str, Any]) -> dict[str, Any]:
    """Answer ``abci_info``: what the application says of itself."""
    info = {"data": "virtengine", "version": "v0.10.0", "last_block_height": str(world.height)}
    return {"response": {**info, "last_block_app_hash": render.app_hash_base64(world, world.height)}}


def block(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``block``."""
    return render.full_block(world, _available(world, arguments))


def header(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``header``."""
    return {"header": render.header(world, _available(world, arguments))}


def block_results(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``block_results``."""
    found = _available(world, arguments)
    if not world.persists_results:
        raise internal("node is not persisting finalize block responses")
    if found.height < world.results_lost_below:
        raise internal(f"could not find results for height #{found.height}")
    return render.block_results(world, found)


def blockchain(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``blockchain``: at most 20 headers, the newest of the range, newest first."""
    lowest = max(arguments.get("minHeight") or 1, world.earliest_height)
    highest = min(arguments.get("maxHeight") or world.height, world.height)
    if lowest > highest:
        raise internal(f"min height {lowest} can't be greater than max height {highest}")
    found = world.blocks(max(lowest, highest - MAX_HEADERS + 1), highest)
    return {"last_height": str(world.height), "block_metas": [_meta(world, item) for item in reversed(found)]}


def tx(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``tx``: one transaction by hash."""
    wanted = arguments.get("hash", b"").hex().upper()
    for found in world.blocks(1, world.height):
        for index, candidate in enumerate(found.txs):
            if candidate.hash == wanted:
                return render.found_tx(world, found, index)
    raise internal(f"tx ({wanted}) not found")


def _available(world: ChainWorld, arguments: dict[str, Any]) -> Block:
    height = arguments.get("height")
    if height is None:
        return world.block_at(world.height)
    if height <= 0:
        raise internal(f"height must be greater than 0, but got {height}")
    if height > world.height:
        raise internal(f"height {height} must be less than or equal to the current blockchain height {world.height}")
    if height < world.earliest_height:
        raise internal(f"height {height} is not available, lowest height is {world.earliest_height}")
    return world.block_at(height)


def _meta(world: ChainWorld, item: Block) -> dict[str, Any]:
    size = 595 + sum(len(base64.b64encode(found.raw)) for found in item.txs)
    meta = {"block_id": render.block_id(world, item.height), "block_size": str(size)}
    return {**meta, "header": render.header(world, item), "num_txs": str(len(item.txs))}


_PAGING = {"page": "int", "per_page": "int", "order_by": "string"}
METHODS: dict[str, Method] = {
    "status": Method(status),
    "health": Method(health),
    "abci_info": Method(abci_info),
    "abci_query": Method(abci_query, {"path": "string", "data": "hex", "height": "int", "prove": "bool"}),
    "block": Method(block, {"height": "int"}),
    "header": Method(header, {"height": "int"}),
    "block_results": Method(block_results, {"height": "int"}),
    "blockchain": Method(blockchain, {"minHeight": "int", "maxHeight": "int"}),
    "tx": Method(tx, {"hash": "bytes", "prove": "bool"}),
    "tx_search": Method(search.tx_search, {"query": "string", "prove": "bool", **_PAGING}),
    "block_search": Method(search.block_search, {"query": "string", **_PAGING}),
}
