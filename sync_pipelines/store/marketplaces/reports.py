"""What the stored orders and products look like: the numbers behind the checks and the status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A stream of a connection: how far it is, and what is stored of it.

    Attributes:
        records: that are not deleted; of products variants.
        errors: open item errors.
    """

    connection: str
    stream: str
    through: datetime | None
    read_at: datetime | None
    waits: str | None
    last_error: str | None
    records: int
    errors: int


def stream_reports(connection: Connection, names: Sequence[str]) -> list[StreamReport]:
    """Return both streams of some connections."""
    rows = connection.execute(
        text(
            "SELECT c.name, k.stream, s.through, s.read_at, s.waits, s.last_error, "
            "CASE k.stream WHEN 'orders' THEN (SELECT count(*) FROM sync.marketplace_order o "
            "WHERE o.connection_id = c.id AND o.deleted_at IS NULL) ELSE (SELECT count(*) "
            "FROM sync.marketplace_product p WHERE p.connection_id = c.id AND p.deleted_at IS NULL) END AS records, "
            "(SELECT count(*) FROM sync.marketplace_item_error e WHERE e.connection_id = c.id "
            "AND e.stream = k.stream AND e.resolved_at IS NULL) AS errors "
            "FROM sync.marketplace_connection c CROSS JOIN (VALUES ('orders'), ('products')) AS k(stream) "
            "LEFT JOIN sync.marketplace_stream s ON s.connection_id = c.id AND s.stream = k.stream "
            "WHERE c.name = ANY (CAST(:names AS text[])) ORDER BY c.name, k.stream"
        ),
        {"names": list(names)},
    )
    return [StreamReport(*row) for row in rows]


def changes_since(connection: Connection, since: datetime) -> dict[str, int]:
    """Return how many changes the history has of each connection from a time on; none where there are none."""
    rows = connection.execute(
        text(
            "SELECT c.name, count(*) AS number FROM sync.marketplace_change h JOIN sync.marketplace_connection c "
            "ON c.id = h.connection_id WHERE h.changed_at >= :since GROUP BY c.name"
        ),
        {"since": since},
    )
    return {row.name: row.number for row in rows}


def totals_that_differ(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the orders whose lines do not add up to what the order says: connection and order."""
    return _pairs(
        connection,
        "SELECT c.name, o.order_key FROM sync.marketplace_order o "
        "JOIN sync.marketplace_connection c ON c.id = o.connection_id "
        "JOIN sync.marketplace_order_item i ON i.connection_id = o.connection_id AND i.order_key = o.order_key "
        "WHERE c.name = ANY (CAST(:names AS text[])) AND o.deleted_at IS NULL "
        "GROUP BY c.name, o.connection_id, o.order_key "
        "HAVING sum(i.line_total) <> coalesce(o.items_total, o.total) AND bool_and(i.line_total IS NOT NULL) "
        "ORDER BY 1, 2",
        names,
    )


def duplicates(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return orders that an organization has twice, because one account is connected twice: connection and order."""
    return _pairs(
        connection,
        "SELECT c.name, o.order_key FROM sync.marketplace_order o "
        "JOIN sync.marketplace_connection c ON c.id = o.connection_id "
        "JOIN sync.marketplace_order p ON p.order_key = o.order_key AND p.connection_id <> o.connection_id "
        "AND p.ordered_at = o.ordered_at "
        "JOIN sync.marketplace_connection d ON d.id = p.connection_id AND d.marketplace = c.marketplace "
        "AND d.organization = c.organization "
        "WHERE c.name = ANY (CAST(:names AS text[])) AND o.deleted_at IS NULL AND p.deleted_at IS NULL ORDER BY 1, 2",
        names,
    )


def shared_skus(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the skus that several products or variants of a connection share: connection and sku."""
    return _pairs(
        connection,
        "SELECT c.name, p.sku FROM sync.marketplace_product p "
        "JOIN sync.marketplace_connection c ON c.id = p.connection_id "
        "WHERE c.name = ANY (CAST(:names AS text[])) AND p.deleted_at IS NULL AND p.sku IS NOT NULL "
        "GROUP BY c.name, p.sku HAVING count(*) > 1 ORDER BY 1, 2",
        names,
    )


def items_without_product(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the order lines that name no product, or one that was never seen: connection and ``order/line``."""
    return _pairs(
        connection,
        "SELECT c.name, i.order_key || '/' || i.item_key FROM sync.marketplace_order_item i "
        "JOIN sync.marketplace_connection c ON c.id = i.connection_id "
        "WHERE c.name = ANY (CAST(:names AS text[])) AND NOT EXISTS (SELECT FROM sync.marketplace_product p "
        "WHERE p.connection_id = i.connection_id AND p.product_key = i.product_key "
        "AND (i.variant_key IS NULL OR p.variant_key = i.variant_key)) ORDER BY 1, 2",
        names,
    )


def _pairs(connection: Connection, sql: str, names: Sequence[str]) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(text(sql), {"names": list(names)})]
