"""How a person settles a conflict: the decision is checked and written down, and the next run carries it out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Resolution
from sync_pipelines.core.two_way import Contest
from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts
from sync_pipelines.pipelines.commerce.connection import FIELDS, ShopConnection
from sync_pipelines.pipelines.commerce.fields import FieldTable
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict, ConflictUnsettled

_FIELDS: Mapping[str, FieldTable] = {str(entity): table for entity, table in FIELDS.items()}
SHORTEST_ID = 12
"""Characters of an id that are asked for at least."""


def settle(
    engine: Engine,
    configured: Sequence[ShopConnection],
    conflict_id: str,
    resolution: Resolution,
    by: str,
    values: Mapping[str, str] | None = None,
) -> tuple[ShopConnection, Conflict]:
    """Write down how a person settles a conflict. Returns it with its shop.

    Arguments:
        configured: the shops that the person may decide about.
        conflict_id: the id, or as much of it as no other one begins with.
        values: field -> value as people write it, for :attr:`Resolution.CUSTOM`.

    Raises:
        ConflictUnsettled: there is no such open conflict, or the values do not fit it.
    """
    with engine.begin() as store:
        found = [
            (connection, conflict)
            for connection in configured
            for conflict in open_conflicts(store, connection)
            if len(conflict_id) >= SHORTEST_ID and conflict.id.startswith(conflict_id)
        ]
        if len(found) > 1:
            raise ConflictUnsettled(f"{len(found)} conflicts begin with {conflict_id}; give more of the id")
        if not found:
            raise ConflictUnsettled(
                f"there is no open conflict {conflict_id}; 'sync-pipelines commerce conflicts' lists those there are"
            )
        connection, conflict = found[0]
        custom = None if values is None else custom_values(conflict, values)
        return connection, conflicts.settle(store, connection.organization, conflict.id, resolution, by, custom or None)


def custom_values(conflict: Conflict, given: Mapping[str, str]) -> dict[str, Any]:
    """Return values as people write them in the form that the fields have.

    Raises:
        ConflictUnsettled: a value is none of the kind that the field has, or none that it can have.
    """
    values = {
        name: _value(name, text, conflict.fields[name]) if name in conflict.fields else text
        for name, text in given.items()
    }
    checks = {field.name: field.wrong for field in _FIELDS.get(conflict.entity, ()) if field.wrong is not None}
    for name, value in values.items():
        if name in conflict.fields and name in checks and (wrong := checks[name](value)):
            raise ConflictUnsettled(f"{name}: {given[name]!r} {wrong}")
    return values


def _value(name: str, text: str, contest: Contest) -> Any:
    """Return a value in the form of the values that the systems show."""
    examples = [one for one in (contest.left, contest.right, contest.base) if one is not None]
    if any(isinstance(one, bool) for one in examples):
        if text.lower() in ("true", "yes", "false", "no"):
            return text.lower() in ("true", "yes")
        raise ConflictUnsettled(f"{name}: {text!r} is neither true nor false")
    if text == "":
        return None
    if any(isinstance(one, int | float | Decimal) for one in examples):
        return _number(name, text)
    if any(isinstance(one, dict | list) for one in examples):
        return _structure(name, text, type(next(one for one in examples if isinstance(one, dict | list))))
    return text


def _number(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ConflictUnsettled(f"{name}: {text!r} is not a number such as 12.50") from None
    if not number.is_finite():
        raise ConflictUnsettled(f"{name}: {text!r} is not a number such as 12.50")
    return number


def _structure(name: str, text: str, wanted: type) -> Any:
    try:
        value = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise ConflictUnsettled(f"{name} is given as JSON, like the values that are shown: {error}") from None
    if not isinstance(value, wanted):
        raise ConflictUnsettled(
            f"{name} must be a JSON {'object' if wanted is dict else 'list'}, like the values shown"
        )
    return value
