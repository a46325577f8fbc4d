"""The block in the making, as a view of its own: what it holds may still change, and is proved by nothing."""

from __future__ import annotations

from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store.ledger import pending, positions
from sync_pipelines.systems.internet_computer import LedgerCanister, MethodNotOffered, PendingEntry

PAGE = 1_000
MOST_ENTRIES = 10_000
"""A pending block of the canister holds no more."""


async def refresh_pending(engine: Engine, canister: LedgerCanister, name: str) -> int | None:
    """Keep what the canister has not committed yet, in place of what was seen before.

    A block that is committed meanwhile leaves the view as it was: the import empties it, and the next look fills it.

    Arguments:
        name: the connection's name.

    Returns how many entries there are; ``None`` when nothing was imported yet, when the canister does not offer the
    view (newer ones do not), or when a block was committed meanwhile.

    Raises:
        PeerError: the canister cannot be asked.
    """
    position = await in_thread(_position, engine, name)
    if position is None:
        return None
    try:
        entries = await _all(canister)
    except MethodNotOffered:
        return None
    if entries is None:
        return None
    rows = [(entry.label, entry.key, entry.value) for entry in entries]
    kept = await in_thread(_keep, engine, position.canister, rows, position.blocks)
    return len(rows) if kept else None


async def _all(canister: LedgerCanister) -> list[PendingEntry] | None:
    """Return all entries; ``None`` when a page does not go on where the one before ended."""
    found: list[PendingEntry] = []
    total: int | None = None
    while True:
        page = await canister.next_block_entries(None, len(found), PAGE)
        if total is not None and page.total_count < total:
            return None
        total = page.total_count
        found += page.entries
        if not page.has_more or not page.entries or len(found) >= MOST_ENTRIES:
            return found[:MOST_ENTRIES]


def _position(engine: Engine, name: str) -> positions.Position | None:
    with engine.connect() as connection:
        return positions.find(connection, name)


def _keep(engine: Engine, canister: int, rows: list[pending.PendingRow], blocks: int) -> bool:
    with engine.begin() as connection:
        return pending.replace(connection, canister, rows, blocks=blocks)
