"""Blocks on their way into the tables: entries, blocks, position and status in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from struct import Struct
from typing import Protocol

from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import Connection

from sync_pipelines.store.ledger import positions, statuses
from sync_pipelines.store.ledger.copying import copy_binary, driver
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.ledger.seen_keys import SeenKeys
from sync_pipelines.store.statements import statement, text

TABLE = "ledger_entries"
_ANALYZE_FROM = 50_000
NANOSECONDS_OF_A_DAY = 86_400 * 10**9
LATEST_TIMESTAMP = 2**63 - 1
"""Nanoseconds: in the year 2262. PostgreSQL has no larger integer."""

_ENTRIES = (
    "sync.ledger_entries "
    "(operation, canister, block_offset, icp_timestamp, entry_index, entry_key, label, label_bytes, key, value)"
)
_BLOCKS = "sync.ledger_blocks (canister, block_offset, length, timestamp_ns, day, entries, hash, parent_hash, tail)"
_DAYS_BEFORE_2000 = 10_957

_length = Struct(">i").pack
_entry_head = Struct(">iiiqiq").pack
_entry_index = Struct(">iii").pack
_block_head = Struct(">hiiiqiiiqiiii").pack
_uuid_array = Struct(">iiIii").pack
_UUID, _UUID_ARRAY = 2950, 2951
_INSERT, _UPDATE, _DELETE = (Struct(">hi").pack(10, len(name)) + name for name in (b"INSERT", b"UPDATE", b"DELETE"))


class EntryRead(Protocol):
    """An entry as it was read."""

    @property
    def label(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def deleted(self) -> bool: ...


class BlockRead(Protocol):
    """A checked block."""

    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def timestamp_ns(self) -> int: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def entries(self) -> Sequence[EntryRead]: ...


class BlockBatch:
    """Blocks that are stored together, and the position behind them.

    Arguments:
        before: the position the first block begins at.
        seen: the keys of everything before, when all of it was imported by this process; else ``None``.

    Attributes:
        after: the position behind the last block.
        entries: how many entries there are.
        size: about how many bytes they take.
    """

    def __init__(self, before: Position, seen: SeenKeys | None = None) -> None:
        self.before = before
        self.after = before
        self.size = 0
        self._seen = seen
        self._keys: list[bytes] = []
        self._deleted: set[int] = set()
        self._rests: list[bytes] = []
        self._blocks: list[bytes] = []
        self._labels: dict[str, tuple[bytes, bytes]] = {}

    @property
    def entries(self) -> int:
        return len(self._rests)

    def following(self) -> BlockBatch:
        """Return an empty batch that goes on behind this one."""
        return BlockBatch(self.after, self._seen)

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, block: BlockRead, tail: bytes) -> None:
        """Take in the block that follows. Only bytes are kept of it: Python's garbage collector would walk over
        anything else again and again, which takes as long as all the rest.

        Arguments:
            tail: the last 16 bytes of the block.
        """
        before = len(self._rests)
        self._take_entries(block)
        day = block.timestamp_ns // NANOSECONDS_OF_A_DAY - _DAYS_BEFORE_2000
        canister, count = self.before.canister, len(block.entries)
        row = [_block_head(9, 4, canister, 8, block.offset, 4, block.length, 8, block.timestamp_ns, 4, day, 4, count)]
        for value in (block.hash, block.parent_hash, tail):
            row += (_length(len(value)), value)
        self._blocks.append(b"".join(row))
        self.size += sum(map(len, self._rests[before:])) + 300
        self.after = replace(
            self.after,
            next_position=block.offset + block.length,
            last_block_offset=block.offset,
            last_length=block.length,
            last_hash=block.hash,
            last_timestamp=block.timestamp_ns,
            tail=tail,
            blocks=self.after.blocks + 1,
            entries=self.after.entries + count,
        )

    def _take_entries(self, block: BlockRead) -> None:
        """Keep the rows' fields behind the operation, which follows from what came before."""
        head = _entry_head(4, self.before.canister, 8, block.offset, 8, block.timestamp_ns)
        labels, sha256, join, length = self._labels, hashlib.sha256, b"".join, _length
        add_key, add_rest = self._keys.append, self._rests.append
        for index, entry in enumerate(block.entries):
            known = labels.get(entry.label)
            if known is None:
                known = labels[entry.label] = _label(self.before.canister, entry.label)
            digest_start, fields = known
            key, value = entry.key, entry.value
            entry_key = sha256(digest_start + key).digest()[:16]
            if entry.deleted:
                self._deleted.add(len(self._keys))
            add_key(entry_key)
            add_rest(
                join(
                    (
                        head,
                        _entry_index(4, index, 16),
                        entry_key,
                        fields,
                        length(len(key)),
                        key,
                        length(len(value)),
                        value,
                    )
                )
            )

    def write(self, connection: Connection) -> None:
        """Store everything within the current transaction. May be done again when that is not committed.

        Raises:
            LeaseLost: somebody else has moved the position.
        """
        positions.move(connection, self.before, self.after)
        rows: list[bytes] = [b""] * (2 * len(self._rests))
        rows[::2], rows[1::2] = self._operations(connection), self._rests
        copy_binary(connection, _ENTRIES, rows)
        copy_binary(connection, _BLOCKS, self._blocks)
        canister, position = self.before.canister, self.after.next_position
        connection.execute(text("DELETE FROM sync.ledger_pending WHERE canister = :canister"), {"canister": canister})
        connection.execute(
            text(
                "DELETE FROM sync.import_errors WHERE canister = :canister AND projection = 'import' "
                "AND block_offset < :position"
            ),
            {"canister": canister, "position": position},
        )
        assert self.after.last_block_offset is not None
        statuses.advance(connection, canister, TABLE, self.after.last_block_offset, self.entries)

    def _operations(self, connection: Connection) -> list[bytes]:
        """Return for every entry the start of its row, up to the operation."""
        may_live = self._keys if self._seen is None else self._seen.add(self._keys)
        live = set(_live(connection, may_live)) if self.before.entries and may_live else set()
        starts = []
        for place, entry_key in enumerate(self._keys):
            if place in self._deleted:
                live.discard(entry_key)
                starts.append(_DELETE)
            elif entry_key in live:
                starts.append(_UPDATE)
            else:
                live.add(entry_key)
                starts.append(_INSERT)
        return starts


def _label(canister: int, label: str) -> tuple[bytes, bytes]:
    """Return what is the same for all entries of a label: the start of what identifies them, and its fields."""
    encoded = label.encode()
    # PostgreSQL's text holds no NUL: the label is kept as bytes too, so that the block's hash can be proven for ever.
    shown = encoded.replace(b"\0", "\N{REPLACEMENT CHARACTER}".encode())
    raw = encoded if b"\0" in encoded else b""
    fields = b"".join((_length(len(shown)), shown, _length(len(raw)), raw))
    return _length(canister) + _length(len(encoded)) + encoded, fields


class _UuidArray(bytes):
    """An array of UUIDs as PostgreSQL receives it."""


class _UuidArrayDumper(Dumper):
    format = Format.BINARY
    oid = _UUID_ARRAY

    def dump(self, obj: _UuidArray) -> Buffer:
        return obj


def _live(connection: Connection, keys: Sequence[bytes]) -> list[bytes]:
    """Return those whose last operation was an upsert."""
    distinct = list(dict.fromkeys(keys))
    between = _length(16)
    # Element by element, psycopg would take as long for the array as PostgreSQL for the search.
    array = _UuidArray(_uuid_array(1, 0, _UUID, len(distinct), 1) + between + between.join(distinct))
    with driver(connection).cursor(binary=True) as cursor:
        cursor.adapters.register_dumper(_UuidArray, _UuidArrayDumper)
        cursor.execute(statement("ledger_live").encode(), (array,))
        return [row[0] for row in cursor]


def analyze(connection: Connection, entries: int) -> None:
    """Renew the planner's statistics after an import of many entries: on none it believes the tables empty."""
    if entries >= _ANALYZE_FROM:
        connection.execute(text("ANALYZE sync.ledger_entries"))
        connection.execute(text("ANALYZE sync.ledger_blocks"))
