"""Looks at records that are named by their keys in the shop, and at what stands for them in Odoo; at nothing else.

Either system is looked through for their natural keys, those that they had among them. What stands for them in Odoo is
read by its own key as well, since it may go by another natural key there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Engine

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.ports import Target
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.engine.two_way import TwoWayPair
from sync_pipelines.pipelines.commerce.moving import Moved
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.store.statements import statement, text

MOST_NAMED = 200
"""Of an entity: each takes a request or two, and a window of what moved has a hundred records a page."""

_Known = Mapping[str, dict[str, str]]
"""System -> key -> natural key, as it was read last."""


async def look_at_named(pair: TwoWayPair, store: Engine, keys: Sequence[str]) -> dict[Side, Moved]:
    """Return what both systems show of some records of the shop; a system that has to be read whole is left out.

    Arguments:
        keys: of the shop.

    Raises:
        PeerError: a system could not be asked.
    """
    known = await in_thread(_known, store, pair, keys)
    left = await _read(pair.left, {*_written_out(keys, known["left"]), *known["left"]})
    natural_keys = {*known["left"].values(), *_natural_keys(left.values())}
    sweep = Sweep()
    right = await _found(pair.right, natural_keys - {""}, sweep)
    right |= await _read(pair.right, known["right"].keys() - right.keys())
    moved = {Side.LEFT: _moved(left, known["left"])}
    if not sweep.gaps:
        moved[Side.RIGHT] = _moved(right, known["right"], natural_keys)
    return moved


def _written_out(keys: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Leave out keys that name a variation by its number alone, as its deletion does."""
    variations = {key.partition("/")[2] for key in known if "/" in key}
    return [key for key in keys if key not in variations]


def _moved(records: Mapping[str, Record | None], known: Mapping[str, str], natural_keys: Iterable[str] = ()) -> Moved:
    there = [record for record in records.values() if record is not None]
    looked_at = {*natural_keys, *known.values(), *_natural_keys(there)} - {""}
    return Moved(sorted(looked_at), there)


def _natural_keys(records: Iterable[Record | None]) -> set[str]:
    return {record.natural_key for record in records if record is not None}


async def _read(side: Target, keys: Iterable[str]) -> dict[str, Record | None]:
    return {key: await side.read(key) for key in sorted(keys)}


async def _found(side: Target, natural_keys: Iterable[str], sweep: Sweep) -> dict[str, Record | None]:
    wanted = sorted(natural_keys)
    if not wanted:
        return {}
    return {record.key: record async for page in side.look(wanted, sweep) for record in page}


def _known(store: Engine, pair: TwoWayPair, keys: Sequence[str]) -> _Known:
    with store.begin() as connection:
        own = ensure_scope(connection, pair.name, pair.scope)
        left, right = (ensure_scope(connection, f"{pair.name}_{peer}", pair.scope) for peer in pair.peers)
        rows = connection.execute(
            text(statement("named_records")),
            {"scope_id": own.id, "left_scope": left.id, "right_scope": right.id, "keys": list(keys)},
        )
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for row in rows:
            found[row.side][row.key] = row.natural_key
    return found
