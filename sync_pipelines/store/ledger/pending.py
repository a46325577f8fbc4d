"""The block in the making: seen, kept apart, and part of nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sync_pipelines.store.ledger.copying import copy_rows
from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text

PendingRow = tuple[str, bytes, bytes]
"""label, key, value."""


def replace(connection: Connection, canister: int, rows: Sequence[PendingRow], *, blocks: int) -> bool:
    """Keep what the block in the making holds, in place of what was seen before.

    Arguments:
        blocks: how many blocks were stored when it was looked at.

    Returns whether it was kept: not when a block was stored meanwhile, because it may be this very one.
    """
    stored = connection.execute(
        text("SELECT blocks FROM sync.ledger_position WHERE canister = :canister FOR SHARE"), {"canister": canister}
    ).scalar()
    if stored != blocks:
        return False
    connection.execute(text("DELETE FROM sync.ledger_pending WHERE canister = :canister"), {"canister": canister})
    numbered = ((canister, index, storable_text(label), key, value) for index, (label, key, value) in enumerate(rows))
    copy_rows(connection, "sync.ledger_pending", ("canister", "entry_index", "label", "key", "value"), numbered)
    return True
