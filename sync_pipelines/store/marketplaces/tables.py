"""The three tables of records, and the SQL that brings one up to date from rows that were copied beside it.

There is one writer at a time: the lease of the connection is held in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

CONNECTION = ":connection_id"


@dataclass(frozen=True)
class RecordTable:
    """A table of records.

    Attributes:
        record: what its rows are called in the history.
        keys: columns of the natural key within a connection; the first is the key of the record.
        content: columns whose changes belong to the history.
        rest: columns that are kept up to date without a history, such as the raw payload.
        types: type of each column that is not text.
        deletable: whether rows are marked deleted; else they are removed.
    """

    record: str
    keys: tuple[str, ...]
    content: tuple[str, ...]
    rest: tuple[str, ...]
    types: dict[str, str]
    deletable: bool = True

    @property
    def name(self) -> str:
        """The table."""
        return f"sync.marketplace_{'order_item' if self.record == 'item' else self.record}"

    @property
    def stage(self) -> str:
        """The temporary table beside it."""
        return f"staged_{self.record}"

    @property
    def columns(self) -> tuple[str, ...]:
        """What a staged row consists of, in order."""
        return (*self.keys, *self.content, *self.rest)

    @property
    def part(self) -> str:
        """SQL of the part of a record that a row is, behind an alias's dot."""
        return self.keys[1] if len(self.keys) > 1 else ""

    @cached_property
    def create_stage(self) -> str:
        """Make the temporary table, empty at the start of each transaction."""
        columns = ", ".join(f"{name} {self.types.get(name, 'text')}" for name in self.columns)
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.stage} ({columns}) ON COMMIT DELETE ROWS"

    @cached_property
    def update(self) -> str:
        """Change the rows that differ, and note what changed of their content. Returns how many rows were changed."""
        assigned = ", ".join(f"{name} = s.{name}" for name in (*self.content, *self.rest))
        revived = ", deleted_at = NULL" if self.deletable else ""
        gone = " OR t.deleted_at IS NOT NULL" if self.deletable else ""
        return (
            f"WITH differing AS MATERIALIZED (SELECT {self._named('s', self.keys)}, {self._object('t')} AS before, "
            f"{self._object('s')} AS after FROM {self.stage} s JOIN {self.name} t ON {self._same} "
            f"WHERE {self._row('s', self._all)} IS DISTINCT FROM {self._row('t', self._all)}{gone}), "
            f"noted AS (INSERT INTO sync.marketplace_change (connection_id, record, key, part, change, before, after) "
            f"SELECT {CONNECTION}, '{self.record}', d.{self.keys[0]}, {self._part('d')}, 'changed', "
            "(SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(d.before) b WHERE d.after -> b.key <> b.value), "
            "(SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(d.after) a WHERE d.before -> a.key <> a.value) "
            "FROM differing d WHERE d.before <> d.after) "
            f"UPDATE {self.name} t SET {assigned}, changed_at = now(){revived} "
            f"FROM {self.stage} s JOIN differing d USING ({', '.join(self.keys)}) WHERE {self._same}"
        )

    @cached_property
    def append(self) -> str:
        """Add all rows, of which none is there. Returns how many there were."""
        names = ", ".join(self.columns)
        return (
            f"INSERT INTO {self.name} (connection_id, {names}) SELECT {CONNECTION}, {self._named('s', self.columns)} "
            f"FROM {self.stage} s"
        )

    @cached_property
    def insert(self) -> str:
        """Add the rows that are new. Returns how many there were."""
        return f"{self.append} WHERE (SELECT t.{self.keys[0]} FROM {self.name} t WHERE {self._same}) IS NULL"

    def note(self, change: str, rows: str) -> str:
        """SQL that notes rows of this table in the history as added, removed or deleted.

        Arguments:
            rows: SQL behind FROM; the rows are ``t``.
        """
        before, after = ("'{}'", self._object("t")) if change == "added" else (self._object("t"), "'{}'")
        return (
            "INSERT INTO sync.marketplace_change (connection_id, record, key, part, change, before, after) "
            f"SELECT {CONNECTION}, '{self.record}', t.{self.keys[0]}, {self._part('t')}, '{change}', "
            f"{before}, {after} FROM {rows}"
        )

    @property
    def _all(self) -> tuple[str, ...]:
        return (*self.content, *self.rest)

    @property
    def _same(self) -> str:
        return " AND ".join([f"t.connection_id = {CONNECTION}", *(f"t.{name} = s.{name}" for name in self.keys)])

    def _named(self, alias: str, names: tuple[str, ...]) -> str:
        return ", ".join(f"{alias}.{name}" for name in names)

    def _row(self, alias: str, names: tuple[str, ...]) -> str:
        return f"({self._named(alias, names)})"

    def _object(self, alias: str) -> str:
        pairs = ", ".join(f"'{name}', {alias}.{name}" for name in self.content)
        return f"jsonb_build_object({pairs})"

    def _part(self, alias: str) -> str:
        return f"{alias}.{self.part}" if self.part else "''"


_NUMBERS = dict.fromkeys(
    (
        *("total", "canceled_total", "refunded_total", "items_total", "quantity", "unit_price"),
        *("discount", "line_total", "price", "stock"),
    ),
    "numeric",
)
_TYPES = {
    **_NUMBERS,
    **dict.fromkeys(("raw_status", "extra", "raw"), "jsonb"),
    **dict.fromkeys(("ordered_at", "updated_at"), "timestamptz"),
    **dict.fromkeys(("status_unmapped", "is_test"), "boolean"),
    "item_count": "integer",
}

ORDERS = RecordTable(
    "order",
    ("order_key",),
    (
        *("display_number", "status", "raw_status", "status_unmapped", "currency", "total", "canceled_total"),
        *("refunded_total", "items_total", "ordered_at", "is_test", "item_count", "extra"),
    ),
    ("updated_at", "raw"),
    _TYPES,
)
ITEMS = RecordTable(
    "item",
    ("order_key", "item_key"),
    (
        *("sku", "product_key", "variant_key", "title", "quantity", "status", "currency"),
        *("unit_price", "discount", "line_total", "extra"),
    ),
    (),
    _TYPES,
    deletable=False,
)
PRODUCTS = RecordTable(
    "product",
    ("product_key", "variant_key"),
    ("sku", "title", "status", "raw_status", "currency", "price", "stock", "extra"),
    ("updated_at", "raw"),
    _TYPES,
)
