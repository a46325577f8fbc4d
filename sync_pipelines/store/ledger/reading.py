"""Reading a whole ledger back, in its stored order and as fast as PostgreSQL gives it: by COPY."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

from sqlalchemy import Connection

from sync_pipelines.store.ledger.copying import driver
from sync_pipelines.store.ledger.tables import PROJECTIONS
from sync_pipelines.store.statements import statement, text

_HEADER_BYTES = 19
_head = Struct(">hiqi?i").unpack_from
_length = Struct(">i").unpack_from
_u32 = Struct("<I").pack
_FIXED = 23
END = 2**63 - 1
"""Ledger position that no block is behind."""


@dataclass
class Labels:
    """Entries met so far per label as written: all, and upserts alone."""

    entries: Counter[str] = field(default_factory=Counter)
    upserts: Counter[str] = field(default_factory=Counter)


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


def block_contents(
    connection: Connection, canister: int, labels: Labels, after: int, through: int = END
) -> Iterator[BlockContent]:
    """Yield what is stored of the blocks that have entries, in the order of the chain, and count the labels.

    Nothing else can be asked of the connection before the last one was taken.

    Arguments:
        after, through: ledger positions; of blocks that begin behind the one, up to the other.
    """
    query = statement("ledger_all_entries") % (int(canister), int(after), int(through))
    begin = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    parts: list[bytes] = []
    upserts: Counter[bytes] = Counter()
    deletes: Counter[bytes] = Counter()
    starts: dict[bytes, bytes] = {}
    at, count = -1, 0
    with driver(connection).cursor() as cursor, cursor.copy(begin.encode()) as copy:
        skip = _HEADER_BYTES
        for data in copy:
            row = bytes(data)[skip:]
            skip = 0
            if len(row) < _FIXED:
                continue
            _, _, block_offset, _, deleted, length = _head(row)
            if block_offset != at:
                if count:
                    yield BlockContent(at, count, b"".join(parts))
                parts, at, count = [], block_offset, 0
            end = _FIXED + length
            label = row[_FIXED:end]
            (length,) = _length(row, end)
            if length:
                label = row[end + 4 : end + 4 + length]
            start = end + 4 + length
            (length,) = _length(row, start)
            key = row[start + 4 : start + 4 + length]
            value = row[start + 8 + length :]
            begins = starts.get(label)
            if begins is None:
                begins = starts[label] = b"\0" + _u32(len(label)) + label
            parts += (begins, _u32(len(key)), key, _u32(len(value)), value, b"\1" if deleted else b"\0")
            count += 1
            (deletes if deleted else upserts)[label] += 1
    if count:
        yield BlockContent(at, count, b"".join(parts))
    labels.upserts.update({label.decode(): number for label, number in upserts.items()})
    labels.entries.update({label.decode(): number for label, number in (upserts + deletes).items()})


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
