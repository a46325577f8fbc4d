"""Which UTC days of block time a ledger has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class HeldDay:
    """A day with blocks, and how much is stored of it."""

    day: date
    blocks: int
    entries: int


def held(connection: Connection, canister: int, first: date, last: date) -> list[HeldDay]:
    """Return the days with blocks within a range, both ends included, in order. Reads the index ledger_blocks_day."""
    rows = connection.execute(
        text(
            "SELECT day, count(*), sum(entries) FROM sync.ledger_blocks "
            "WHERE canister = :canister AND day BETWEEN :first AND :last GROUP BY day ORDER BY day"
        ),
        {"canister": canister, "first": first, "last": last},
    )
    return [HeldDay(day, blocks, int(entries)) for day, blocks, entries in rows]
