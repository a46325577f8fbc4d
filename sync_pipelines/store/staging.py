"""Staging: the records of one pass travel to PostgreSQL by COPY, in batches, while the next ones are made ready.

Only records that are new or have moved travel whole. Of the others their key and digests are enough, so that a pass
that finds nothing new costs half of one that does. What is read before anything is stored needs no staging at all
(:mod:`store.first_pass`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from struct import Struct
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy import Connection, text

from sync_pipelines.core.records import Record
from sync_pipelines.store import unequal
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement
from sync_pipelines.store.storable import StoredRecord, stored

BATCH = 20_000
"""Records that travel together; two batches are held in memory. Each answer of PostgreSQL makes the writing thread wait
for the interpreter, which the other one keeps busy: small batches wait more than they write."""

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": signature, flags, length of the extension;
# then rows, each the number of its fields and every field after its length; then the trailer.
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_length = Struct(">i").pack
_BATCH_ROW = Struct(">h").pack(3)
_STAGE_ROW = Struct(">hi?ii").pack
_JSONB_VERSION = b"\1"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Merged:
    """How many records are new, and how many have moved."""

    added: int
    changed: int


class Batches(ABC, Generic[Row]):
    """Collects the rows of a pass and hands full batches to a thread, which writes while the next one is filled.

    Attributes:
        read: rows added, repeated ones included.
        may_miss: whether a stored record may not have come in this pass.
    """

    def __init__(self, connection: Connection, batch: int) -> None:
        self._connection = connection
        self._batch = batch
        self._rows: dict[bytes, Row] = {}
        self._batches = 0
        self._writer: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        self.read = 0
        self.may_miss = False
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self._driver: psycopg.Connection[Any] = driver

    @abstractmethod
    def add(self, records: Iterable[Record]) -> None:
        """Take records in; full batches are written meanwhile by a thread."""

    @abstractmethod
    def complete(self) -> None:
        """Wait until all that was handed over is written, and make the rest ready for :meth:`merge`."""

    @abstractmethod
    def drop_repeated(self) -> int:
        """Keep only the last row of every key, and return how many are left."""

    @abstractmethod
    def merge(self, snapshot_id: int) -> Merged:
        """Bring what travelled into ``sync.record``."""

    @abstractmethod
    def clear(self) -> None:
        """Give the room of a large pass back; a session of the pool may live for days."""

    @abstractmethod
    def _write(self, rows: dict[bytes, Row]) -> None:
        """Write a batch, and commit it: while the next page travels, no transaction is held open."""

    def close(self) -> None:
        """Let the thread end; nobody else may use the connection before."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)

    @property
    def in_one_batch(self) -> bool:
        """True when everything travelled at once."""
        return self._batches <= 1

    def _hand_over(self) -> None:
        self._wait()
        rows, self._rows = self._rows, {}
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "snapshot-writer")
        self._writing = self._writer.submit(self._write, rows)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _copy(self, table: str, head: bytes, rows: Iterable[bytes]) -> None:
        with self._driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy:
            copy.write(b"".join((_BEGIN, head, head.join(rows), _END)))


class Staging(Batches[tuple[bytes, Record]]):
    """The staging tables of one pass over one side that was read before.

    Attributes:
        new: staged records that are new.
        moved: staged records that have moved.
    """

    def __init__(self, connection: Connection, scope: Scope, side: str, batch: int) -> None:
        super().__init__(connection, batch)
        self._scope = scope
        self._side = {"scope_id": scope.id, "side": side}
        self._sent = self.new = self.moved = 0
        self._hashes = array("q")
        self.may_miss = True
        self._driver.execute(statement("snapshot_stage").encode())
        connection.commit()

    def add(self, records: Iterable[Record]) -> None:
        """Take records in: their rows of snapshot_batch; the record is staged if it is new or has moved."""
        for record in records:
            kept = stored(record)
            self._rows[kept[0]] = seen_row(kept), record
            self._hashes.append(hash(kept[0]))
            self.read += 1
            if len(self._rows) >= self._batch:
                self._hand_over()

    def complete(self) -> None:
        """Write what is left, here and now."""
        self._wait()
        if self._rows:
            rows, self._rows = self._rows, {}
            self._write(rows)

    def drop_repeated(self) -> int:
        """Keep only the last row of every key, and return how many are left.

        Within a batch this was done while it was filled. Over several batches it is not needed when all keys have
        different hashes. Else the numbers tell whether there is anything to do.
        """
        if self.in_one_batch:
            return self._sent
        if self._all_differ():
            self.may_miss = self._stored() > self._sent - self.new
            return self._sent
        found = self._connection.execute(text(statement("snapshot_overlap")), self._side).one()
        known_again = self._sent - self.new - found.met
        new_again = self.new - found.distinct_new
        if known_again or new_again:
            self._connection.execute(
                text("DELETE FROM snapshot_seen a USING snapshot_seen b WHERE a.key = b.key AND a.batch < b.batch")
            )
            self._connection.execute(
                text(
                    "DELETE FROM snapshot_stage s WHERE NOT EXISTS "
                    "(SELECT FROM snapshot_seen k WHERE k.key = s.key AND k.batch = s.batch)"
                )
            )
        self.may_miss = found.stored > found.met
        return int(self._sent - known_again - new_again)

    def merge(self, snapshot_id: int) -> Merged:
        """Insert the records that are new, and rewrite those that have moved."""
        values = {**self._side, "snapshot_id": snapshot_id}
        if self.new + self.moved >= unequal.MOST:
            unequal.let_go(self._connection, self._scope)
        return Merged(
            added=self._count("snapshot_insert", values) if self.new else 0,
            changed=self._count("snapshot_update", values) if self.moved else 0,
        )

    def clear(self) -> None:
        """Empty the staging tables after a large pass."""
        if not self.in_one_batch:
            self._connection.execute(text("TRUNCATE snapshot_seen, snapshot_stage"))

    def _all_differ(self) -> bool:
        # Most passes fit into one batch and never get here, and numpy is a tenth of what a run has to load.
        import numpy

        hashes = numpy.sort(numpy.frombuffer(self._hashes, dtype=numpy.int64))
        return not (hashes[1:] == hashes[:-1]).any()

    def _stored(self) -> int:
        counted = text("SELECT count(*) FROM sync.record WHERE scope_id = :scope_id AND side = :side")
        return int(self._connection.execute(counted, self._side).scalar_one())

    def _count(self, name: str, values: dict[str, Any]) -> int:
        return self._connection.execute(text(statement(name)), values).rowcount

    def _write(self, rows: dict[bytes, tuple[bytes, Record]]) -> None:
        self._batches += 1
        self._sent += len(rows)
        with self._connection.begin():
            self._copy("snapshot_batch", _BATCH_ROW, [seen for seen, _ in rows.values()])
            for new, keys in self._moved().items():
                self._stage([_whole(*rows[key]) for key in keys], new=new)

    def _moved(self) -> dict[bool, list[bytes]]:
        # Whatever the planner believes of a table without statistics: a batch is small, and the index is there.
        self._connection.execute(text("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"))
        found = self._connection.execute(text(statement("snapshot_moved")), {**self._side, "batch": self._batches})
        keys: dict[bool, list[bytes]] = {True: [], False: []}
        for key, is_new in found:
            keys[is_new].append(key.encode())
        return keys

    def _stage(self, rows: list[bytes], *, new: bool) -> None:
        if rows:
            self._copy("snapshot_stage", _STAGE_ROW(10, 1, new, 4, self._batches), rows)
            if new:
                self.new += len(rows)
            else:
                self.moved += len(rows)


def _whole(seen: bytes, record: Record) -> bytes:
    # Made again: to keep the texts of all in memory costs more than to make those of the few that moved twice.
    return seen + whole_rest(stored(record))


def seen_row(kept: StoredRecord) -> bytes:
    """Return key, fingerprint and detail in COPY's binary format."""
    key, _, fingerprint, detail = kept[:4]
    return b"".join((_length(len(key)), key, _length(len(fingerprint)), fingerprint, _length(len(detail)), detail))


def whole_rest(kept: StoredRecord) -> bytes:
    """Return what follows :func:`seen_row` of a record that travels whole: natural key, content, meta, remarks."""
    _, natural_key, _, _, content, meta, withheld, invalid = kept
    return b"".join(
        (
            _length(len(natural_key)),
            natural_key,
            _length(len(content) + 1),
            _JSONB_VERSION,
            content,
            _length(len(meta) + 1),
            _JSONB_VERSION,
            meta,
            _NULL if withheld is None else _length(len(withheld)) + withheld,
            _NULL if invalid is None else _length(len(invalid)) + invalid,
        )
    )
