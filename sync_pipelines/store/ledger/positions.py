"""How far a canister's ledger was read, and what its canister said of its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.errors import ConfigurationError, LeaseLost
from sync_pipelines.store.scopes import ensure_scope, find_scope
from sync_pipelines.store.statements import text

PAIR = "ledger"

_COLUMNS = (
    "canister, canister_id, data_start, next_position, last_block_offset, last_length, last_hash, last_timestamp, "
    "tail, blocks, entries, generation"
)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a ledger was read: everything before ``next_position`` is stored.

    Attributes:
        canister: id of the connection's scope; rows of all ledger tables carry it.
        canister_id: the canister's principal as text.
        data_start: ledger position of the first block; ``None`` before the first import.
        next_position: where the next block begins; ``None`` before the first import.
        last_block_offset: where the last stored block begins, its length in bytes, its hash and its time in
            nanoseconds; ``None`` and empty as long as there is none.
        tail: the 16 bytes before ``next_position``, empty as long as there is no block.
        blocks: how many blocks are stored.
        entries: how many entries are stored.
        generation: grows with every resync.
    """

    canister: int
    canister_id: str
    data_start: int | None = None
    next_position: int | None = None
    last_block_offset: int | None = None
    last_length: int | None = None
    last_hash: bytes = b""
    last_timestamp: int | None = None
    tail: bytes = b""
    blocks: int = 0
    entries: int = 0
    generation: int = 1

    def starting_at(self, data_start: int) -> Position:
        """Return the position before the first block."""
        return replace(self, data_start=data_start, next_position=data_start)


def ensure(connection: Connection, name: str, canister_id: str) -> Position:
    """Return the position of a connection's ledger, making it when it is new.

    Arguments:
        name: the connection's name.

    Raises:
        ConfigurationError: the connection has imported another canister before.
    """
    scope = ensure_scope(connection, PAIR, name)
    connection.execute(
        text(
            "INSERT INTO sync.ledger_position (canister, canister_id) VALUES (:canister, :canister_id) "
            "ON CONFLICT DO NOTHING"
        ),
        {"canister": scope.id, "canister_id": canister_id},
    )
    position = read(connection, scope.id)
    if position.canister_id != canister_id:
        raise ConfigurationError(
            f"The connection {name} has imported the canister {position.canister_id} so far and names {canister_id} "
            "now. Give the other canister a connection of another name, or name the former one again."
        )
    return position


def find(connection: Connection, name: str) -> Position | None:
    """Return the position of a connection's ledger, ``None`` when nothing was ever imported."""
    scope = find_scope(connection, PAIR, name)
    if scope is None:
        return None
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.ledger_position WHERE canister = :canister"), {"canister": scope.id}
    ).one_or_none()
    return None if row is None else _position(row)


def read(connection: Connection, canister: int) -> Position:
    """Return the position of a ledger that is known."""
    return _position(
        connection.execute(
            text(f"SELECT {_COLUMNS} FROM sync.ledger_position WHERE canister = :canister"), {"canister": canister}
        ).one()
    )


def move(connection: Connection, before: Position, after: Position) -> None:
    """Move the position within the transaction that stores what it covers.

    Raises:
        LeaseLost: somebody else has moved it.
    """
    moved = connection.execute(
        text(
            "UPDATE sync.ledger_position SET data_start = :data_start, next_position = :next_position, "
            "last_block_offset = :last_block_offset, last_length = :last_length, last_hash = :last_hash, "
            "last_timestamp = :last_timestamp, tail = :tail, blocks = :blocks, entries = :entries, "
            "generation = :generation, moved_at = now() WHERE canister = :canister "
            "AND blocks = :from_blocks AND generation = :from_generation"
        ),
        {
            "data_start": after.data_start,
            "next_position": after.next_position,
            "last_block_offset": after.last_block_offset,
            "last_length": after.last_length,
            "last_hash": after.last_hash,
            "last_timestamp": after.last_timestamp,
            "tail": after.tail,
            "blocks": after.blocks,
            "entries": after.entries,
            "generation": after.generation,
            "canister": before.canister,
            "from_blocks": before.blocks,
            "from_generation": before.generation,
        },
    ).rowcount
    if not moved:
        raise LeaseLost(
            f"The position of the ledger of {before.canister_id} was moved by another import. Nothing was stored; run "
            "again."
        )


def note_tip(connection: Connection, canister: int, end: int, blocks: int, timestamp_ns: int, *, behind: bool) -> float:
    """Keep what the canister said of its chain's end.

    Arguments:
        end: ledger position behind the last block.
        behind: whether that is before our position.

    Returns the seconds for which every answer has been behind ours; 0 when this one is not.
    """
    seconds: float = connection.execute(
        text(
            "UPDATE sync.ledger_position SET tip_position = :end, tip_blocks = :blocks, tip_timestamp = :timestamp_ns, "
            "tip_seen_at = clock_timestamp(), "
            "behind_since = CASE WHEN :behind THEN coalesce(behind_since, clock_timestamp()) END "
            "WHERE canister = :canister "
            "RETURNING coalesce(extract(epoch FROM clock_timestamp() - behind_since), 0)::double precision"
        ),
        {"canister": canister, "end": end, "blocks": blocks, "timestamp_ns": timestamp_ns, "behind": behind},
    ).scalar_one()
    return max(seconds, 0.0)


def _position(row: Any) -> Position:
    fields = row._asdict()
    return Position(**{**fields, "last_hash": bytes(row.last_hash), "tail": bytes(row.tail)})
