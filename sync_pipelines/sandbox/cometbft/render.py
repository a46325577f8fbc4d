"""The JSON shapes of blocks, results and transactions, by version of the node.

64-bit integers are strings, 32-bit ones numbers. Up to 0.34 keys and values of event attributes are base64; up to
0.37 a block's own events come in two lists.
"""

from __future__ import annotations

import base64
from typing import Any

from sync_pipelines.sandbox.cometbft.blocks import Block, Event, Tx, digest, rfc3339
from sync_pipelines.sandbox.cometbft.world import ChainWorld

EMPTY_HASH = digest("")
VALIDATOR = digest("validator")[:40]
CONSENSUS_PARAMS = {
    "block": {"max_bytes": "4194304", "max_gas": "150000000"},
    "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
    "validator": {"pub_key_types": ["ed25519"]},
    "version": {},
    "synchrony": {"precision": "505000000", "message_delay": "15000000000"},
    "feature": {"vote_extensions_enable_height": {}, "pbts_enable_height": {}},
}


def minor_version(world: ChainWorld) -> int:
    """Return 34, 37 or 38 for 0.x; 1.x counts as 38, whose protocol it keeps."""
    major, minor, *_ = world.node_version.lstrip("v").split(".")
    return int(minor) if major == "0" else 38


def events(world: ChainWorld, items: tuple[Event, ...]) -> list[dict[str, Any]]:
    """Return events with their attributes, base64-coded by an old node."""
    code = _base64 if minor_version(world) <= 34 else str
    return [
        {
            "type": event.type,
            "attributes": [{"key": code(a.key), "value": code(a.value), "index": a.index} for a in event.attributes],
        }
        for event in items
    ]


def tx_result(world: ChainWorld, tx: Tx) -> dict[str, Any]:
    """Return a result as ``block_results``, ``tx`` and ``tx_search`` give it: every field present."""
    return {
        "code": tx.code,
        "data": tx.data,
        "log": tx.log,
        "info": "",
        "gas_wanted": str(tx.gas_wanted),
        "gas_used": str(tx.gas_used),
        "events": events(world, tx.events),
        "codespace": tx.codespace,
    }


def found_tx(world: ChainWorld, block: Block, index: int) -> dict[str, Any]:
    """Return a transaction as ``tx`` and ``tx_search`` give it."""
    tx = block.txs[index]
    raw = base64.b64encode(tx.raw).decode()
    return {"hash": tx.hash, "height": str(block.height), "index": index, "tx_result": tx_result(world, tx), "tx": raw}


def streamed_tx(world: ChainWorld, block: Block, index: int) -> dict[str, Any]:
    """Return a transaction as the websocket gives it: fields with the value 0 or "" are absent."""
    tx = block.txs[index]
    full = tx_result(world, tx)
    del full["info"]
    result: dict[str, Any] = {"height": str(block.height)}
    if index:
        result["index"] = index
    result["tx"] = base64.b64encode(tx.raw).decode()
    result["result"] = {key: value for key, value in full.items() if value not in (0, "", None)}
    return {"TxResult": result}


def block_results(world: ChainWorld, block: Block) -> dict[str, Any]:
    """Return the answer of ``block_results``; ``txs_results`` of an empty block is null."""
    answer: dict[str, Any] = {
        "height": str(block.height),
        "txs_results": [tx_result(world, tx) for tx in block.txs] or None,
    }
    if minor_version(world) < 38:
        modes = {event: next((a.value for a in event.attributes if a.key == "mode"), "") for event in block.events}
        begin = tuple(event for event in block.events if modes[event] != "EndBlock")
        end = tuple(event for event in block.events if modes[event] == "EndBlock")
        answer |= {"begin_block_events": events(world, begin) or None, "end_block_events": events(world, end) or None}
        return answer | {"validator_updates": None, "consensus_param_updates": CONSENSUS_PARAMS}
    answer |= {"finalize_block_events": events(world, block.events), "validator_updates": None}
    return answer | {"consensus_param_updates": CONSENSUS_PARAMS, "app_hash": app_hash_base64(world, block.height)}


def app_hash_base64(world: ChainWorld, height: int) -> str:
    """Return the hash of the application's state after a block, as the application writes it."""
    return base64.b64encode(bytes.fromhex(digest(world.chain_id, "app", height))).decode()


def block_id(world: ChainWorld, height: int) -> dict[str, Any]:
    """Return a block's id; the parent of the first block has an empty one."""
    if height < 1:
        return {"hash": "", "parts": {"total": 0, "hash": ""}}
    parts = {"total": 1, "hash": digest(world.chain_id, "parts", height)}
    return {"hash": digest(world.chain_id, "block", height), "parts": parts}


def header(world: ChainWorld, block: Block) -> dict[str, Any]:
    """Return a block's header."""
    height = block.height
    return {
        "version": {"block": "11"},
        "chain_id": world.chain_id,
        "height": str(height),
        "time": rfc3339(block.time),
        "last_block_id": block_id(world, height - 1),
        "last_commit_hash": digest(world.chain_id, "commit", height - 1),
        "data_hash": digest(*(tx.hash for tx in block.txs)) if block.txs else EMPTY_HASH,
        "validators_hash": digest(world.chain_id, "validators"),
        "next_validators_hash": digest(world.chain_id, "validators"),
        "consensus_hash": digest(world.chain_id, "consensus"),
        "app_hash": digest(world.chain_id, "app", height - 1),
        "last_results_hash": digest(world.chain_id, "results", height - 1),
        "evidence_hash": EMPTY_HASH,
        "proposer_address": VALIDATOR,
    }


def full_block(world: ChainWorld, block: Block) -> dict[str, Any]:
    """Return a block with id, header, transactions and the commit of its parent."""
    previous = block.height - 1
    signature = {
        "block_id_flag": 2,
        "validator_address": VALIDATOR,
        "timestamp": rfc3339(block.time),
        "signature": base64.b64encode(digest(world.chain_id, "signature", previous).encode()).decode(),
    }
    commit = {"height": str(previous), "round": 0, "block_id": block_id(world, previous)}
    return {
        "block_id": block_id(world, block.height),
        "block": {
            "header": header(world, block),
            "data": {"txs": [base64.b64encode(tx.raw).decode() for tx in block.txs]},
            "evidence": {"evidence": []},
            "last_commit": {**commit, "signatures": [signature] if previous else []},
        },
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
