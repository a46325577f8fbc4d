"""Staging: the records of one pass travel to PostgreSQL by COPY, in batches, while the next ones are made ready.

Only records that are new or have moved travel whole. Of the others their key and digests are enough, so that a pass
that finds nothing new costs half of one that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from struct import Struct
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from sync_pipelines.core.records import Record
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement
from sync_pipelines.store.storable import StoredRecord, stored

BATCH = 5000
"""Records that travel together: enough to make round trips cheap; two batches are held in memory."""

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": signature, flags, length of the extension;
# then rows, each the number of its fields and every field after its length; then the trailer.
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_length = Struct(">i").pack
_BATCH_ROW = Struct(">h").pack(3)
_STAGE_ROW = Struct(">hi?ii").pack
_JSONB_VERSION = b"\1"


_Rows = dict[bytes, tuple[bytes, Record | None]]


class Staging:
    """The staging tables of one pass over one side.

    Attributes:
        read: rows added, repeated ones included.
        known: whether any record of the side was stored before.
        new: staged records that are new.
        moved: staged records that have moved.
        may_miss: whether a stored record may not have come in this pass.
    """

    def __init__(self, connection: Connection, scope: Scope, side: str, batch: int) -> None:
        self._connection = connection
        self._batch = batch
        self._side = {"scope_id": scope.id, "side": side}
        # Key -> its row of snapshot_batch, and the record to be staged when it turns out to be new or to have moved;
        # without any stored record all are, and what is kept is the row of snapshot_stage.
        self._rows: _Rows = {}
        self._batches = 0
        self._sent = 0
        self._writer: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        self.read = self.new = self.moved = 0
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self._driver: psycopg.Connection[Any] = driver
        driver.execute(statement("snapshot_stage").encode())
        self.known = bool(
            connection.execute(
                text("SELECT EXISTS (SELECT FROM sync.record WHERE scope_id = :scope_id AND side = :side)"), self._side
            ).scalar_one()
        )
        self.may_miss = self.known
        connection.commit()

    def add(self, records: Iterable[Record]) -> None:
        """Take records in; full batches are written meanwhile by a thread."""
        for record in records:
            kept = stored(record)
            self._rows[kept[0]] = (_seen(kept), record) if self.known else (_seen(kept) + _rest(kept), None)
            self.read += 1
            if len(self._rows) >= self._batch:
                self._hand_over()

    def complete(self) -> None:
        """Write what is left, here and now."""
        self._wait()
        if self._rows:
            rows, self._rows = self._rows, {}
            self._write(rows)

    def close(self) -> None:
        """Let the thread end; nobody else may use the connection before."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)

    @property
    def in_one_batch(self) -> bool:
        """True when everything travelled at once."""
        return self._batches <= 1

    def drop_repeated(self) -> int:
        """Keep only the last row of every key, and return how many are left.

        Within a batch this was done while it was filled. Over several batches the numbers tell whether there is
        anything to do: sorting a million keys to find out would take longer than all the rest.
        """
        if self.in_one_batch:
            return self._sent
        found = self._connection.execute(text(statement("snapshot_overlap")), self._side).one()
        known_again = self._sent - self.new - found.met if self.known else 0
        new_again = self.new - found.distinct_new
        if known_again or new_again:
            table = "snapshot_seen" if self.known else "snapshot_stage"
            self._connection.execute(
                text(f"DELETE FROM {table} a USING {table} b WHERE a.key = b.key AND a.batch < b.batch")
            )
        if self.known and (known_again or new_again):
            self._connection.execute(
                text(
                    "DELETE FROM snapshot_stage s WHERE NOT EXISTS "
                    "(SELECT FROM snapshot_seen k WHERE k.key = s.key AND k.batch = s.batch)"
                )
            )
        self.may_miss = found.stored > found.met
        return int(self._sent - known_again - new_again)

    def clear(self) -> None:
        """Give the room of a large pass back; a session of the pool may live for days."""
        if not self.in_one_batch:
            self._connection.execute(text("TRUNCATE snapshot_seen, snapshot_stage"))

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

    def _write(self, rows: _Rows) -> None:
        self._batches += 1
        self._sent += len(rows)
        # Each batch is committed: while the next page travels, no transaction is held open.
        with self._connection.begin():
            if self.known:
                self._copy("snapshot_batch", _BATCH_ROW, [seen for seen, _ in rows.values()])
                for new, keys in self._moved().items():
                    self._stage([_whole(*rows[key]) for key in keys], new=new)
            else:
                self._stage([row for row, _ in rows.values()], new=True)

    def _moved(self) -> dict[bool, list[bytes]]:
        # Whatever the planner believes of a table without statistics: a batch is small, and the index is there.
        for way in ("hashjoin", "mergejoin"):
            self._connection.execute(text(f"SET LOCAL enable_{way} = off"))
        found = self._connection.execute(text(statement("snapshot_moved")), {**self._side, "batch": self._batches})
        keys: dict[bool, list[bytes]] = {True: [], False: []}
        for key, is_new in found:
            keys[is_new].append(key.encode())
        return keys

    def _stage(self, rows: list[bytes], *, new: bool) -> None:
        if rows:
            head = _STAGE_ROW(10, 1, new, 4, self._batches)
            self._copy("snapshot_stage", head, rows)
            if new:
                self.new += len(rows)
            else:
                self.moved += len(rows)

    def _copy(self, table: str, head: bytes, rows: list[bytes]) -> None:
        with self._driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy:
            copy.write(b"".join((_BEGIN, head, head.join(rows), _END)))


def _whole(seen: bytes, record: Record | None) -> bytes:
    # Made again: to keep the texts of all in memory costs more than to make those of the few that moved twice.
    return seen if record is None else seen + _rest(stored(record))


def _seen(kept: StoredRecord) -> bytes:
    key, _, fingerprint, detail = kept[:4]
    return b"".join((_length(len(key)), key, _length(len(fingerprint)), fingerprint, _length(len(detail)), detail))


def _rest(kept: StoredRecord) -> bytes:
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
