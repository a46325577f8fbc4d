"""Open conflicts of shops as tables: values to choose between, and records that no choice of values can settle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from sync_pipelines.cli import output

if TYPE_CHECKING:
    from sync_pipelines.pipelines.commerce.conflict_rows import ConflictRow

SHOWN_ID = 17
"""Characters of a conflict's id: as many as tell conflicts apart, and settle takes them."""


def conflict_tables(rows: Sequence[ConflictRow], limit: int | None = None) -> Iterator[Table]:
    """Yield the tables of some conflicts.

    Arguments:
        limit: rows of a table at most, ``None`` for all.
    """
    contested, whole = [row for row in rows if row.field], [row for row in rows if not row.field]
    if contested or not whole:
        yield _of_values(contested, limit)
    if whole:
        shown = [(row.id[:SHOWN_ID], row.kind, row.entity, _item(row), row.reason) for row in whole[:limit]]
        columns = ["conflict", "kind", "entity", "record", "what is wrong"]
        yield output.table(f"{_counted(whole)} of whole records{_rest(whole, limit)}", columns, shown)


def _of_values(rows: Sequence[ConflictRow], limit: int | None) -> Table:
    from sync_pipelines.pipelines.commerce.conflict_rows import value_text

    # A column of what was never agreed on would take the room of the values.
    agreed_before = any(row.base is not None for row in rows)
    columns = ["conflict", "entity", "record", "field", "WooCommerce", "Odoo"]
    columns += ["agreed before"] if agreed_before else []
    shown = []
    for row, before in zip(rows[:limit], [None, *rows], strict=False):
        is_next = before is not None and before.id == row.id
        values = [row.woocommerce, row.odoo, *([row.base] if agreed_before else [])]
        about = (" ", " ", " ") if is_next else (row.id[:SHOWN_ID], row.entity, _item(row))
        shown.append((*about, row.field, *(value_text(value) for value in values), row.owner))
    return output.table(f"{_counted(rows)} of values{_rest(rows, limit)}", [*columns, "owner"], shown)


def _item(row: ConflictRow) -> str:
    return row.item + (f" ({row.settled}, waits for the next sync)" if row.settled else "")


def _counted(rows: Sequence[ConflictRow]) -> str:
    number = len({row.id for row in rows})
    return f"{number} conflict{'' if number == 1 else 's'}"


def _rest(rows: Sequence[ConflictRow], limit: int | None) -> str:
    return f", the first {limit} rows" if limit is not None and len(rows) > limit else ""
