"""What the node's indexer finds: ``tx_search`` and ``block_search``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sync_pipelines.sandbox.cometbft import query, render
from sync_pipelines.sandbox.cometbft.blocks import Block, Event, Tx
from sync_pipelines.sandbox.cometbft.failures import internal
from sync_pipelines.sandbox.cometbft.query import Condition
from sync_pipelines.sandbox.cometbft.world import ChainWorld

DEFAULT_PER_PAGE = 30
MAX_PER_PAGE = 100


def tx_search(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``tx_search``. Raises :class:`RpcFailure`."""
    if not world.tx_index:
        raise internal("transaction indexing is disabled")
    conditions = _parse(arguments)
    found = [
        (block, index)
        for block in world.blocks(1, world.height)
        for index, tx in enumerate(block.txs)
        if _tx_matches(world, conditions, block, tx)
    ]
    # Within one block a node lists transactions by hash, not by index (CometBFT 1.0.1 gave 3, 1, 0, 2).
    found.sort(key=lambda hit: (hit[0].height, hit[0].txs[hit[1]].hash))
    page = _page(_ordered(found, arguments), arguments)
    return {"txs": [render.found_tx(world, block, index) for block, index in page], "total_count": str(len(found))}


def block_search(world: ChainWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer ``block_search``; newest first unless asked otherwise. Raises :class:`RpcFailure`."""
    conditions = _parse(arguments)
    found = [block for block in world.blocks(1, world.height) if _block_matches(conditions, block)]
    page = _page(_ordered(found, {"order_by": "desc", **arguments}), arguments)
    return {"blocks": [render.full_block(world, block) for block in page], "total_count": str(len(found))}


def flat_values(events: Sequence[Event]) -> dict[str, list[str]]:
    """Return ``type.key`` -> all values of all events, in order. Lists of one type need not be aligned."""
    values: dict[str, list[str]] = {}
    for event in events:
        for attribute in event.attributes:
            if event.type:
                values.setdefault(f"{event.type}.{attribute.key}", []).append(attribute.value)
    return values


def _parse(arguments: dict[str, Any]) -> tuple[Condition, ...]:
    try:
        return query.parse(arguments.get("query", ""))
    except query.QueryError as problem:
        raise internal(str(problem)) from None


def _tx_matches(world: ChainWorld, conditions: Sequence[Condition], block: Block, tx: Tx) -> bool:
    own = {"tx.height": str(block.height), "tx.hash": tx.hash}
    rest = [condition for condition in conditions if condition.tag not in own]
    if not all(c.holds(own[c.tag]) for c in conditions if c.tag in own):
        return False
    if not rest:
        return True
    if render.minor_version(world) <= 34:
        return query.matches_flat(rest, flat_values(tuple(_indexed(tx.events))))
    # From 0.37 on all conditions must hold in one and the same event; tm.event is no indexed attribute.
    return any(query.matches_flat(rest, flat_values([event])) for event in _indexed(tx.events))


def _block_matches(conditions: Sequence[Condition], block: Block) -> bool:
    values = flat_values(tuple(_indexed(block.events))) | {"block.height": [str(block.height)]}
    return query.matches_flat(conditions, values)


def _indexed(events: Sequence[Event]) -> Iterator[Event]:
    for event in events:
        if event.type:
            yield Event(event.type, tuple(attribute for attribute in event.attributes if attribute.index))


def _ordered(found: list[Any], arguments: dict[str, Any]) -> list[Any]:
    order = arguments.get("order_by", "")
    if order not in ("", "asc", "desc"):
        raise internal(f"invalid order_by: expected `asc`, `desc` or ``, but got {order}")
    return found[::-1] if order == "desc" else found


def _page(found: list[Any], arguments: dict[str, Any]) -> list[Any]:
    asked = arguments.get("per_page", DEFAULT_PER_PAGE)
    size = DEFAULT_PER_PAGE if asked < 1 else min(asked, MAX_PER_PAGE)
    pages = max(1, -(-len(found) // size))
    page = arguments.get("page", 1)
    if not 1 <= page <= pages:
        raise internal(f"page should be within [1, {pages}] range, given {page}")
    return found[(page - 1) * size : page * size]
