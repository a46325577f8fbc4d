"""Questions about the stored chain of blocks, and taking its tail out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.store.statements import statement, text

_BLOCK = "block_offset, length, timestamp_ns, entries, hash, parent_hash, tail"


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as it is stored, without its entries.

    Attributes:
        block_offset: ledger position of its header, bytes.
        length: bytes with the header.
        timestamp_ns: nanoseconds since 1970 UTC.
        entries: how many it has.
        hash, parent_hash: of it and of the block before.
        tail: its last 16 bytes.
    """

    block_offset: int
    length: int
    timestamp_ns: int
    entries: int
    hash: bytes
    parent_hash: bytes
    tail: bytes

    @property
    def end(self) -> int:
        """Ledger position behind the block."""
        return self.block_offset + self.length


def block_before(connection: Connection, canister: int, position: int) -> StoredBlock | None:
    """Return the last block that begins before a position."""
    row = connection.execute(
        text(
            f"SELECT {_BLOCK} FROM sync.ledger_blocks WHERE canister = :canister AND block_offset < :position "
            "ORDER BY block_offset DESC LIMIT 1"
        ),
        {"canister": canister, "position": position},
    ).one_or_none()
    return None if row is None else StoredBlock(*row)


def block_number(connection: Connection, canister: int, number: int) -> StoredBlock:
    """Return a block by its place in the chain, from 0."""
    row = connection.execute(
        text(
            f"SELECT {_BLOCK} FROM sync.ledger_blocks WHERE canister = :canister "
            "ORDER BY block_offset OFFSET :number LIMIT 1"
        ),
        {"canister": canister, "number": number},
    ).one()
    return StoredBlock(*row)


def pages(connection: Connection, canister: int, size: int) -> Iterator[list[StoredBlock]]:
    """Yield all blocks in the order of the chain, so many at a time: a block takes some 500 bytes."""
    after = -1
    while True:
        rows = connection.execute(
            text(
                f"SELECT {_BLOCK} FROM sync.ledger_blocks WHERE canister = :canister AND block_offset > :after "
                "ORDER BY block_offset LIMIT :size"
            ),
            {"canister": canister, "after": after, "size": size},
        )
        page = [StoredBlock(*row) for row in rows]
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1].block_offset


def entries_from(connection: Connection, canister: int, position: int) -> int:
    """Return how many entries the blocks from a position on have."""
    return int(
        connection.execute(
            text(
                "SELECT coalesce(sum(entries), 0) FROM sync.ledger_blocks "
                "WHERE canister = :canister AND block_offset >= :position"
            ),
            {"canister": canister, "position": position},
        ).scalar_one()
    )


def supersede(connection: Connection, canister: int, position: int, generation: int) -> tuple[int, int]:
    """Take the blocks from a position on out of the chain. They are kept apart, with the generation they were of.

    Returns how many blocks and entries that were.
    """
    values = {"canister": canister, "position": position, "generation": generation}
    entries = connection.execute(text(statement("ledger_supersede_entries")), values).rowcount
    blocks = connection.execute(text(statement("ledger_supersede_blocks")), values).rowcount
    return blocks, entries
