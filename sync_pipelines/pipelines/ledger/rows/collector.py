"""Collects rows per table until they are written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

LONGEST_KEY = 1000
"""Bytes of what is looked up by an index, which holds 2704. Real keys have 32."""


class StoredEntry(NamedTuple):
    """An entry as it is stored.

    ``operation`` is ``INSERT``, ``UPDATE`` or ``DELETE``.
    """

    entry_index: int
    label: str
    operation: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """The block that entries belong to.

    Attributes:
        canister: id of the ledger.
        offset: ledger position of the block.
        timestamp_ns: nanoseconds since 1970 UTC.
        day: UTC day of that.
        parent_hash: hash of the block before, which check-ins are signed over.
    """

    canister: int
    offset: int
    timestamp_ns: int
    day: date
    parent_hash: bytes


@dataclass
class Rows:
    """Rows by table, in the order of the columns of :data:`sync_pipelines.store.ledger.tables.COLUMNS`.

    Attributes:
        tables: the rows.
        changes: what transfers did to accounts: (day, principal, subaccount) -> e9s.
        count: how many rows there are.
    """

    tables: defaultdict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))
    changes: defaultdict[tuple[date, str, bytes | None], int] = field(default_factory=lambda: defaultdict(int))
    count: int = 0

    def take(self, canister: int) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows and forget them."""
        taken = dict(self.tables)
        if self.changes:
            taken["account_changes"] = [(canister, *account, change) for account, change in self.changes.items()]
        self.tables.clear()
        self.changes.clear()
        self.count = 0
        return taken


@dataclass
class BlockRows:
    """The rows of one block while they are made.

    Attributes:
        transfers: transfers of the block so far.
        mints, minted_e9s: how many of them are mints, and their sum.
    """

    rows: Rows
    block: BlockPlace
    transfers: int = 0
    mints: int = 0
    minted_e9s: int = 0

    def add(self, table: str, row: tuple[Any, ...]) -> None:
        """Take in a row."""
        self.rows.tables[table].append(row)
        self.rows.count += 1

    def event(self, table: str, entry: StoredEntry, *values: Any) -> None:
        """Take in a row that begins with the place and time of its entry."""
        self.add(table, (self.block.canister, self.block.offset, entry.entry_index, self.block.timestamp_ns, *values))

    def error(self, projection: str, entry: StoredEntry, kind: str, reason: str | None = None) -> None:
        """Take in something that is wrong with an entry."""
        block = self.block
        self.add(
            "import_errors",
            (block.canister, projection, block.offset, entry.entry_index, entry.label, entry.key, kind, reason),
        )
