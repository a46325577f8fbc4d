"""What a node publishes for one block: NewBlock, NewBlockHeader, NewBlockEvents, then its transactions in order."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.cometbft import render
from sync_pipelines.sandbox.cometbft.blocks import Block
from sync_pipelines.sandbox.cometbft.search import flat_values
from sync_pipelines.sandbox.cometbft.world import ChainWorld

Publication = tuple[dict[str, Any], dict[str, list[str]]]
"""The ``data`` of a frame, and the values that queries are matched against (a frame's ``events``)."""


def publications(world: ChainWorld, block: Block) -> list[Publication]:
    """Return the publications of a block in the node's order."""
    minor = render.minor_version(world)
    block_values = flat_values(block.events)
    found = [_of("NewBlock", _new_block(world, block), block_values)]
    found.append(_of("NewBlockHeader", {"header": render.header(world, block)}, {} if minor >= 38 else block_values))
    if minor >= 38:
        events = render.events(world, block.events)
        value = {"height": str(block.height), "events": events, "num_txs": str(len(block.txs))}
        found.append(_of("NewBlockEvents", value, block_values))
    for index, tx in enumerate(block.txs):
        values = flat_values(tx.events) | {"tx.hash": [tx.hash], "tx.height": [str(block.height)]}
        found.append(_of("Tx", render.streamed_tx(world, block, index), values))
    return found


def _of(kind: str, value: dict[str, Any], values: dict[str, list[str]]) -> Publication:
    return {"type": f"tendermint/event/{kind}", "value": value}, {**values, "tm.event": [kind]}


def _new_block(world: ChainWorld, block: Block) -> dict[str, Any]:
    results = render.block_results(world, block)
    if "finalize_block_events" in results:
        outcome = {"result_finalize_block": {"events": results["finalize_block_events"]}}
    else:
        outcome = {
            "result_begin_block": {"events": results["begin_block_events"]},
            "result_end_block": {"events": results["end_block_events"]},
        }
    return render.full_block(world, block) | outcome
