"""Open conflicts of shops as people read them: a row for each field that has to be decided about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines.store.scopes import ensure_scope

MOST_ROWS = 100
"""Of a table for the UI; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One field of a conflict, or the conflict as a whole where no field can settle it.

    Attributes:
        field: empty for the conflict as a whole.
        woocommerce, odoo: the values of the two systems.
        base: what was agreed on before, if ever.
        owner: who decides about the field.
        settled: how a person has settled it, while that is not carried out yet.
        organization: whose people may settle it.
        can_be_settled: whether a decision can end it; else it takes a mend in its system.
        history: what it was before, and how that was settled, oldest first.
    """

    id: str
    shop: str
    entity: str
    kind: str
    item: str
    reason: str
    since: datetime
    settled: str
    organization: str
    can_be_settled: bool
    history: tuple[Mapping[str, Any], ...]
    field: str = ""
    woocommerce: Any = None
    odoo: Any = None
    base: Any = None
    owner: str = ""


def open_conflicts(
    store: Connection, connection: ShopConnection, entities: Iterable[EntityType] | None = None
) -> list[Conflict]:
    """Return the open conflicts of a shop, oldest first; of all its entities for ``None``."""
    found: list[Conflict] = []
    for entity in connection.entities if entities is None else entities:
        scope = ensure_scope(store, NAME, connection.scope(entity))
        found += conflicts.standing(store, connection.organization, scope=scope)
    return sorted(found, key=lambda one: (one.created_at, one.id))


def rows_of(connection: ShopConnection, found: Iterable[Conflict]) -> list[ConflictRow]:
    """Return the rows of some conflicts."""
    return [row for conflict in found for row in _rows(connection, conflict)]


def _rows(connection: ShopConnection, conflict: Conflict) -> list[ConflictRow]:
    shared: dict[str, Any] = {
        "id": conflict.id,
        "shop": connection.name,
        "entity": conflict.entity,
        "kind": conflict.kind.value,
        "item": conflict.item,
        "reason": conflict.data["reason"],
        "since": conflict.created_at,
        "settled": f"{conflict.resolution} by {conflict.resolved_by}" if conflict.is_resolved else "",
        "organization": conflict.org,
        "can_be_settled": conflict.can_be_settled,
        "history": tuple(conflict.history),
    }
    table = connection.fields(EntityType(conflict.entity))
    owners = {field.name: str(field.owner) for field in table}
    contested = sorted(conflict.fields.items())
    if not contested:
        return [ConflictRow(**shared)]
    return [
        ConflictRow(
            **shared, field=name, woocommerce=one.left, odoo=one.right, base=one.base, owner=owners.get(name, "")
        )
        for name, one in contested
    ]


def value_text(value: object) -> str:
    """Return a value as people read it; ``-`` for none."""
    if value is None or value == "":
        return "-"
    return value if isinstance(value, str) else canonical_json(value)


def markdown(rows: Sequence[ConflictRow]) -> str:
    """Return conflicts as a markdown table."""
    if not rows:
        return "none"
    head = [
        "| conflict | kind | record | field | WooCommerce | Odoo | agreed before | owner | why |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines = [
        "| "
        + " | ".join(
            markdown_cell(cell)
            for cell in (
                row.id,
                row.kind,
                row.item,
                row.field or "-",
                *(value_text(value) for value in (row.woocommerce, row.odoo, row.base)),
                row.owner or "-",
                row.settled or row.reason,
            )
        )
        + " |"
        for row in rows[:MOST_ROWS]
    ]
    rest = [f"\n... and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    return "\n".join([*head, *lines, *rest])
