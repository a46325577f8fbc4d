"""Pages of a stream on their way into the tables: records, errors and the watermark in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sync_pipelines.core.marketplace_port import Page, RecordT
from sync_pipelines.core.marketplaces import (
    ItemError,
    Order,
    ProblemKind,
    Product,
    Stream,
    problems_of_order,
    problems_of_product,
)
from sync_pipelines.store.ledger.copying import copy_encoded, encoded_rows
from sync_pipelines.store.marketplaces import item_errors, scans, streams
from sync_pipelines.store.marketplaces.item_errors import Staged
from sync_pipelines.store.marketplaces.rows import Row, item_row, order_row, product_row, why_not_storable
from sync_pipelines.store.marketplaces.tables import ITEMS, ORDERS, PRODUCTS, RecordTable
from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text

UNSTORED = frozenset({ProblemKind.UNREADABLE, ProblemKind.NOT_STORABLE})
"""Errors of records that are not in the tables."""
MOST_TOLD = 20


@dataclass
class Stored:
    """What storing came to, in records (of products: variants).

    Attributes:
        records, items: what was handed over.
        created, changed: of the records; the others were as they are already.
        deleted: records that are marked deleted.
        errors: item errors that came with the records.
        rows: rows of all tables that were compared with what is stored.
        distrusted: why nothing was concluded from a scan, if so.
        unstored: the errors of records that are not stored, :data:`MOST_TOLD` of them at most.
    """

    records: int = 0
    items: int = 0
    created: int = 0
    changed: int = 0
    deleted: int = 0
    errors: int = 0
    rows: int = 0
    distrusted: list[str] = field(default_factory=list)
    unstored: list[ItemError] = field(default_factory=list)

    def add(self, other: Stored) -> None:
        """Count another one in."""
        for name in ("records", "items", "created", "changed", "deleted", "errors", "rows"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.distrusted += other.distrusted
        self.unstored = [*self.unstored, *other.unstored][:MOST_TOLD]


Write = Callable[[Connection], Stored]
"""Stores what was prepared within the current transaction."""


def store_orders(
    connection: Connection, connection_id: int, pages: Sequence[Page[Order]], *, moves: bool = True
) -> Stored:
    """Store pages of orders within the current transaction, in the order in which they came.

    Arguments:
        moves: whether the watermark is moved to that of the last page; days that are read again leave it alone.
    """
    return prepared_orders(connection_id, pages, moves=moves)(connection)


def prepared_orders(connection_id: int, pages: Sequence[Page[Order]], *, moves: bool = True) -> Write:
    """Make the rows of pages of orders, and return what stores them, any number of times, as :func:`store_orders`."""
    batch = _OrderBatch(pages)
    identity = {"connection_id": connection_id}
    keys = [storable_text(str(row[0])) for row in batch.rows]
    orders, items = _lines(batch.rows), _lines(batch.item_rows)

    def write(connection: Connection) -> Stored:
        stored = Stored(records=len(batch.rows), items=len(batch.item_rows), errors=len(batch.errors))
        # Orders are never removed, and no item is without its order: where none is known, nothing can be compared.
        known = connection.execute(text(_KNOWN_ORDERS), {**identity, "keys": keys}).scalar_one()
        if known:
            _stage(connection, ORDERS, orders)
            _stage(connection, ITEMS, items)
            _compare_orders(connection, identity, stored)
        else:
            stored.created = len(batch.rows)
            _append(connection, ORDERS, connection_id, orders)
            _append(connection, ITEMS, connection_id, items)
        records = Staged(ORDERS) if known else keys
        _finish(connection, connection_id, Stream.ORDERS, ORDERS, pages, records, batch.errors, stored, moves)
        return stored

    return write


def _compare_orders(connection: Connection, identity: Mapping[str, object], stored: Stored) -> None:
    # A list may be answered by an index that lags: what is stored is never replaced by an older version.
    if connection.execute(text(_STALE_ORDERS), identity).rowcount:
        connection.execute(text(_ITEMS_OF_STALE))
    connection.execute(text(_ITEMS_ADDED), identity)
    connection.execute(text(_ITEMS_REMOVED), identity)
    stored.changed = connection.execute(text(ORDERS.update), identity).rowcount
    stored.created = connection.execute(text(ORDERS.insert), identity).rowcount
    connection.execute(text(ITEMS.update), identity)
    connection.execute(text(ITEMS.insert), identity)


def store_products(
    connection: Connection, connection_id: int, pages: Sequence[Page[Product]], *, moves: bool = True
) -> Stored:
    """Store pages of products, as :func:`store_orders`."""
    return prepared_products(connection_id, pages, moves=moves)(connection)


def prepared_products(connection_id: int, pages: Sequence[Page[Product]], *, moves: bool = True) -> Write:
    """Make the rows of pages of products, as :func:`prepared_orders`."""
    batch = _ProductBatch(pages)
    identity = {"connection_id": connection_id}
    products = _lines(batch.rows)

    def write(connection: Connection) -> Stored:
        _stage(connection, PRODUCTS, products)
        connection.execute(text(_STALE_PRODUCTS), identity)
        stored = Stored(records=len(batch.rows), errors=len(batch.errors))
        stored.deleted = connection.execute(text(_VARIANTS_GONE), identity).rowcount
        stored.changed = connection.execute(text(PRODUCTS.update), identity).rowcount
        stored.created = connection.execute(text(PRODUCTS.insert), identity).rowcount
        records = Staged(PRODUCTS)
        _finish(connection, connection_id, Stream.PRODUCTS, PRODUCTS, pages, records, batch.errors, stored, moves)
        return stored

    return write


def take_statistics(connection: Connection, stream: Stream) -> None:
    """Let the planner know how many records there are.

    Of a connection whose first records are being stored it expects a few, and looks each up by reading all of them.
    """
    for table in (ORDERS, ITEMS) if stream is Stream.ORDERS else (PRODUCTS,):
        connection.execute(text(f"ANALYZE {table.name}"))


def _finish(
    connection: Connection,
    connection_id: int,
    stream: Stream,
    table: RecordTable,
    pages: Sequence[Page[RecordT]],
    records: Staged | Sequence[str],
    errors: Sequence[ItemError],
    stored: Stored,
    moves: bool,
) -> None:
    stored.rows = stored.records + stored.items
    gone = [key for page in pages for key in page.gone]
    if gone:
        stored.deleted += scans.mark_deleted(connection, connection_id, table, gone)
    item_errors.note(connection, connection_id, stream, records, errors)
    stored.unstored = [error for error in errors if error.kind in UNSTORED][:MOST_TOLD]
    for page in pages:
        if page.scan is not None:
            deleted, reason = scans.take(connection, connection_id, stream, table, page.scan)
            stored.deleted += deleted
            stored.distrusted += [reason] if reason else []
    if moves and pages:
        streams.move(connection, connection_id, stream, pages[-1].watermark)


class _OrderBatch:
    """The rows of pages, of each order the newest version."""

    def __init__(self, pages: Sequence[Page[Order]]) -> None:
        self.errors = [error for page in pages for error in page.errors]
        newest: dict[str, Order] = {}
        for page in pages:
            for order in page.records:
                known = newest.get(order.order_key)
                if known is None or not _is_older(order, known):
                    newest[order.order_key] = order
        self.rows: list[Row] = []
        self.item_rows: list[Row] = []
        for order in newest.values():
            self._add(order)

    def _add(self, order: Order) -> None:
        keys = [item.item_key for item in order.items]
        why = why_not_storable(order.order_key, *keys)
        if why is None and len(set(keys)) != len(keys):
            why = "two lines have the same key"
        try:
            rows = [item_row(order, item) for item in order.items]
            row = None if why else order_row(order)
        except (ValueError, TypeError) as error:
            row, why = None, str(error)
        if row is None:
            self.errors.append(ItemError(ProblemKind.NOT_STORABLE, order.key, f"not stored: {why}", payload=order.raw))
            return
        self.rows.append(row)
        self.item_rows += rows
        self.errors += problems_of_order(order)


class _ProductBatch:
    """The rows of pages, of each product the last version with all its variants."""

    def __init__(self, pages: Sequence[Page[Product]]) -> None:
        self.errors = [error for page in pages for error in page.errors]
        newest: dict[str, dict[str, Product]] = {}
        for page in pages:
            here: dict[str, dict[str, Product]] = {}
            for product in page.records:
                here.setdefault(product.product_key, {})[product.variant_key] = product
            newest |= here
        self.rows = list(self._rows(newest))

    def _rows(self, newest: dict[str, dict[str, Product]]) -> Iterator[Row]:
        for product in (product for variants in newest.values() for product in variants.values()):
            why = why_not_storable(product.product_key, product.variant_key)
            try:
                row = None if why else product_row(product)
            except (ValueError, TypeError) as error:
                row, why = None, str(error)
            if row is None:
                kind, message = ProblemKind.NOT_STORABLE, f"not stored: {why}"
                self.errors.append(ItemError(kind, product.key, message, product.variant_key, product.raw))
                continue
            self.errors += problems_of_product(product)
            yield row


def _is_older(order: Order, than: Order) -> bool:
    return order.updated_at is not None and than.updated_at is not None and order.updated_at < than.updated_at


def _lines(rows: Sequence[Row]) -> bytes:
    try:
        return encoded_rows(rows)
    except UnicodeEncodeError:
        return encoded_rows(_storable(rows))


def _stage(connection: Connection, table: RecordTable, lines: bytes) -> None:
    connection.execute(text(table.create_stage))
    copy_encoded(connection, table.stage, table.columns, lines)


def _append(connection: Connection, table: RecordTable, connection_id: int, lines: bytes) -> None:
    """Write rows at once into the table: through the temporary one, each would be written twice."""
    begin = f"{connection_id}\t".encode()
    # A line's end within a value is escaped: each of these bytes ends a row.
    rows = begin + lines.removesuffix(b"\n").replace(b"\n", b"\n" + begin) + b"\n" if lines else b""
    copy_encoded(connection, table.name, ("connection_id", *table.columns), rows)


def _storable(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield tuple(storable_text(value) if isinstance(value, str) else value for value in row)


# Scalar queries instead of joins, here and in ``tables`` and ``scans``: for want of statistics on a connection's first
# records, PostgreSQL joins by reading all of them for every row. 100,000 orders did not come to an end.
_KNOWN_ORDERS = (
    "SELECT EXISTS (SELECT FROM unnest(CAST(:keys AS text[])) AS s (order_key) WHERE (SELECT t.order_key "
    "FROM sync.marketplace_order t WHERE t.connection_id = :connection_id AND t.order_key = s.order_key) IS NOT NULL)"
)
_STALE_ORDERS = (
    "DELETE FROM staged_order s USING sync.marketplace_order t WHERE t.connection_id = :connection_id "
    "AND t.order_key = s.order_key AND s.updated_at < t.updated_at"
)
_ITEMS_OF_STALE = (
    "DELETE FROM staged_item s WHERE NOT EXISTS (SELECT FROM staged_order o WHERE o.order_key = s.order_key)"
)
_ITEMS_ADDED = ITEMS.note(
    "added",
    "staged_item t JOIN sync.marketplace_order o ON o.connection_id = :connection_id AND o.order_key = t.order_key "
    "WHERE NOT EXISTS (SELECT FROM sync.marketplace_order_item i WHERE i.connection_id = :connection_id "
    "AND i.order_key = t.order_key AND i.item_key = t.item_key)",
)
_ITEMS_REMOVED = (
    "WITH gone AS (DELETE FROM sync.marketplace_order_item t USING staged_order o "
    "WHERE t.connection_id = :connection_id AND t.order_key = o.order_key AND NOT EXISTS (SELECT FROM staged_item s "
    f"WHERE s.order_key = t.order_key AND s.item_key = t.item_key) RETURNING t.*) {ITEMS.note('removed', 'gone t')}"
)
_STALE_PRODUCTS = (
    "DELETE FROM staged_product s USING sync.marketplace_product t WHERE t.connection_id = :connection_id "
    "AND t.product_key = s.product_key AND t.variant_key = s.variant_key AND s.updated_at < t.updated_at"
)
_VARIANTS_GONE = (
    "WITH gone AS (UPDATE sync.marketplace_product t SET deleted_at = now(), changed_at = now() "
    "FROM (SELECT DISTINCT product_key FROM staged_product) p WHERE t.connection_id = :connection_id "
    "AND t.product_key = p.product_key AND t.deleted_at IS NULL AND NOT EXISTS (SELECT FROM staged_product s "
    "WHERE s.product_key = t.product_key AND s.variant_key = t.variant_key) RETURNING t.*) "
    f"{PRODUCTS.note('deleted', 'gone t')}"
)
