"""Rows of one model with their indexes, and the journal by which a transaction is undone or committed late."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


class Table:
    """Rows by id. A stored row is never changed in place: :meth:`put` replaces it.

    Arguments:
        indexed: columns with an index for equality.
        first_id: the next id given out.

    Attributes:
        rows: rows by id, in no particular order.
        ids: the same ids, ascending.
    """

    def __init__(self, indexed: Iterable[str] = (), first_id: int = 1) -> None:
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self._indexes: dict[str, dict[Any, set[int]]] = {column: {} for column in indexed}
        self._next_id = first_id

    def next_id(self) -> int:
        """Take an id; as with PostgreSQL's sequences it is gone even when the transaction is rolled back."""
        taken = self._next_id
        self._next_id += 1
        return taken

    def reserve(self, last_id: int) -> None:
        """Give out no id up to ``last_id`` any more."""
        self._next_id = max(self._next_id, last_id + 1)

    def put(self, row_id: int, row: Row | None) -> None:
        """Set a row, or remove it."""
        before = self.rows.get(row_id)
        if row is None:
            if before is not None:
                del self.rows[row_id]
                del self.ids[bisect_left(self.ids, row_id)]
        else:
            if before is None:
                if self.ids and row_id < self.ids[-1]:
                    insort(self.ids, row_id)
                else:
                    self.ids.append(row_id)
            self.rows[row_id] = row
        for column, index in self._indexes.items():
            old = None if before is None else before.get(column)
            new = None if row is None else row.get(column)
            if before is not None and (row is None or old != new):
                index[old].discard(row_id)
            if row is not None and (before is None or old != new):
                index.setdefault(new, set()).add(row_id)

    def is_indexed(self, column: str) -> bool:
        return column in self._indexes

    def having(self, column: str, value: Any) -> list[int]:
        """Return the ids of rows with a value in an indexed column, ascending."""
        return sorted(self._indexes[column].get(value, ()))

    def from_id(self, first: int) -> int:
        """Return where in :attr:`ids` the rows with at least this id begin."""
        return bisect_left(self.ids, first)


@dataclass(frozen=True, slots=True)
class _Change:
    table: Table
    row_id: int
    before: Row | None
    after: Row | None


@dataclass(slots=True)
class Journal:
    """What a transaction changed, in order."""

    changes: list[_Change] = field(default_factory=list)

    def put(self, table: Table, row_id: int, row: Row | None) -> None:
        """Set or remove a row and remember how it was."""
        self.changes.append(_Change(table, row_id, table.rows.get(row_id), row))
        table.put(row_id, row)

    def undo(self) -> None:
        """Make everything as it was before; the changes stay known."""
        for change in reversed(self.changes):
            change.table.put(change.row_id, change.before)

    def redo(self) -> bool:
        """Make the changes again after :meth:`undo`; nothing happens and ``False`` is returned when another
        transaction has changed one of the rows meanwhile."""
        first: dict[tuple[int, int], _Change] = {}
        for change in self.changes:
            first.setdefault((id(change.table), change.row_id), change)
        if any(change.table.rows.get(change.row_id) is not change.before for change in first.values()):
            return False
        for change in self.changes:
            change.table.put(change.row_id, change.after)
        return True
