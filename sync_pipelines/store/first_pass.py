"""The first pass over a side: with nothing to compare with, its records go straight to where they stay.

Full batches are committed one by one and long before the pass is complete. Nobody sees them until then: without a
snapshot of the side nothing is compared. A pass that breaks off leaves true observations behind, which the next one
compares with like any others, so that it need not send them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

import psycopg
from sqlalchemy import Connection

from sync_pipelines.core.records import Record
from sync_pipelines.store import leases, unequal
from sync_pipelines.store.leases import Lease
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.staging import Batches, Merged, seen_row, whole_rest
from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import stored

_COLUMNS = "scope_id, side, snapshot_id, key, fingerprint, detail, natural_key, content, meta, withheld, invalid"


class FirstPass(Batches[bytes]):
    """Writes the records of a side that was never read. What did not fill a batch is written by :meth:`merge`."""

    def __init__(
        self, connection: Connection, scope: Scope, side: str, batch: int, snapshot_id: int, lease: Lease | None
    ) -> None:
        super().__init__(connection, batch)
        self._lease = lease
        self._placed = 0
        name = side.encode()
        self._head = Struct(f">hiii{len(name)}siq").pack(11, 4, scope.id, len(name), name, 8, snapshot_id)
        self._scope, self._side, self._snapshot_id = scope, side, snapshot_id

    def add(self, records: Iterable[Record]) -> None:
        """Take records in: their rows of ``sync.record``."""
        for record in records:
            kept = stored(record)
            self._rows[kept[0]] = seen_row(kept) + whole_rest(kept)
            self.read += 1
            if len(self._rows) >= self._batch:
                self._hand_over()

    def complete(self) -> None:
        """Wait for the batches; the rest goes with the snapshot."""
        self._wait()

    def drop_repeated(self) -> int:
        """Place the rest and return how many records the side has: a repeated key found its place taken."""
        rows, self._rows = self._rows, {}
        if rows:
            self._place(rows)
        return self._placed

    def merge(self, snapshot_id: int) -> Merged:
        """Nothing is left to do."""
        return Merged(self._placed, 0)

    def clear(self) -> None:
        """Nothing was staged."""

    def _write(self, rows: dict[bytes, bytes]) -> None:
        with self._connection.begin():
            if self._lease is not None:
                leases.fence(self._connection, self._lease)
            self._place(rows)

    def _place(self, rows: dict[bytes, bytes]) -> None:
        self._batches += 1
        unequal.let_go(self._connection, self._scope)
        try:
            with self._connection.begin_nested():
                self._copy(f"sync.record ({_COLUMNS})", self._head, rows.values())
        except psycopg.errors.UniqueViolation:
            # A key of an earlier batch comes again, and its last row counts; or a run that has lost its lease was here.
            self._placed -= self._remove(list(rows))
            self._copy(f"sync.record ({_COLUMNS})", self._head, rows.values())
        self._placed += len(rows)

    def _remove(self, keys: list[bytes]) -> int:
        """Remove records, and return how many of them this pass had placed."""
        removed = self._connection.execute(
            text(
                "DELETE FROM sync.record WHERE scope_id = :scope_id AND side = :side "
                "AND key = ANY (CAST(:keys AS text[])) RETURNING snapshot_id"
            ),
            {"scope_id": self._scope.id, "side": self._side, "keys": [key.decode() for key in keys]},
        )
        return sum(row.snapshot_id == self._snapshot_id for row in removed)
