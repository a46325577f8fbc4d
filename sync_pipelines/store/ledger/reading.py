"""Reading a whole ledger back, in its stored order and as fast as PostgreSQL gives it: by COPY."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from sqlalchemy import Connection

from sync_pipelines.store.ledger.copying import driver
from sync_pipelines.store.ledger.tables import PROJECTIONS
from sync_pipelines.store.statements import statement, text

_HEADER_BYTES = 19
_head = Struct(">hiqiii").unpack_from
_HEAD_BYTES = 26
END = 2**63 - 1
"""Ledger position that no block is behind."""


@dataclass(frozen=True, slots=True)
class BlockContent:
    """The stored entries of a block.

    Attributes:
        block_offset: ledger position of the block.
        entries: how many there are.
        content: the entries as they are encoded in the ledger, one behind the other.
    """

    block_offset: int
    entries: int
    content: bytes


def block_contents(connection: Connection, canister: int, after: int, through: int = END) -> Iterator[BlockContent]:
    """Yield what is stored of the blocks that have entries, in the order of the chain.

    Nothing else can be asked of the connection before the last one was taken.

    Arguments:
        after, through: ledger positions; of blocks that begin behind the one, up to the other.
    """
    query = statement("ledger_all_entries") % (int(canister), int(after), int(through))
    begin = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    with driver(connection).cursor() as cursor, cursor.copy(begin.encode()) as copy:
        skip = _HEADER_BYTES
        for data in copy:
            row = bytes(data)[skip:]
            skip = 0
            if len(row) >= _HEAD_BYTES:
                _, _, block_offset, _, entries, _ = _head(row)
                yield BlockContent(block_offset, entries, row[_HEAD_BYTES:])


def entries_per_label(connection: Connection, canister: int) -> tuple[Counter[str], Counter[str]]:
    """Return how many entries there are per label as written: all, and those that are no Deletes."""
    entries: Counter[str] = Counter()
    upserts: Counter[str] = Counter()
    rows = connection.execute(
        text(
            "SELECT CASE WHEN label_bytes = '' THEN convert_to(label, 'UTF8') ELSE label_bytes END, "
            "operation = 'DELETE', count(*) FROM sync.ledger_entries WHERE canister = :canister "
            "GROUP BY label, label_bytes, operation = 'DELETE'"
        ),
        {"canister": canister},
    )
    for label, deletes, number in rows:
        entries[bytes(label).decode()] += number
        if not deletes:
            upserts[bytes(label).decode()] += number
    return entries, upserts


TransferRow = tuple[int, str | None, str | None, int, int, int, int]
"""block_offset, sender, receiver, amount, fee, and the balances the ledger says both had after it.

Accounts are opaque texts; ``None`` is the one that tokens come from and go to.
"""


def transfers(connection: Connection, canister: int) -> Iterator[TransferRow]:
    """Yield all transfers of a ledger that tells balances, in the stored order."""
    begin = f"COPY ({statement('ledger_all_transfers')}) TO STDOUT".replace("%s", str(int(canister)))
    with driver(connection).cursor() as cursor, cursor.copy(begin.encode()) as copy:
        for data in copy:
            block, rows = str(data, "ascii").split("\t")
            place = int(block)
            for row in rows.split(";"):
                sender, receiver, amount, fee, sender_after, receiver_after = row.split(" ")
                yield (
                    place,
                    sender or None,
                    receiver or None,
                    int(amount),
                    int(fee),
                    int(sender_after),
                    int(receiver_after),
                )


_NO_ROW = ("payload_undecodable", "key_not_pubkey", "key_too_long", "reply_other_contract")
"""Kinds of errors that stand in the place of an entry's row."""


def accounted_upserts(connection: Connection, canister: int) -> dict[str, int]:
    """Return, per projection, how many upserts have a row or an error that stands in its place."""
    accounted = {}
    for name, projection in PROJECTIONS.items():
        total = 0
        for table, only in projection.per_entry:
            total += connection.execute(
                text(f"SELECT count(*) FROM sync.{table} WHERE canister = :canister{only}"), {"canister": canister}
            ).scalar_one()
        errors = connection.execute(
            text(
                "SELECT count(*) FROM sync.import_errors WHERE canister = :canister AND projection = :projection "
                "AND kind = ANY (CAST(:kinds AS text[]))"
            ),
            {"canister": canister, "projection": name, "kinds": list(_NO_ROW)},
        ).scalar_one()
        if projection.per_entry:
            accounted[name] = total + errors
    return accounted
