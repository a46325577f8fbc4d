"""The order of records: empty values last when ascending, first when descending, text by code point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo.domains import Search
from sync_pipelines.sandbox.odoo.errors import value_error
from sync_pipelines.sandbox.odoo.tables import Row

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.environment import Env
    from sync_pipelines.sandbox.odoo.records import Model

_BY_ID = [("id", False)]


def parsed(model: Model, order: str | None) -> list[tuple[str, bool]]:
    """Return the fields to order by, each with whether it descends.

    Raises:
        OdooError: there is no such field.
    """
    terms = []
    for part in (order or model.order).split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in model.fields:
            raise value_error(f"Invalid field {name!r} on model {model.name!r}")
        terms.append((name, direction.strip().lower() == "desc"))
    return terms


def page(env: Env, model: Model, search: Search, order: str | None, offset: int, limit: int | None) -> list[Row]:
    """Return one page of the rows found. A page in the order of ids reads no more rows than it must."""
    terms = parsed(model, order)
    end = offset + limit if limit else None
    found = search.found(model)
    if terms == _BY_ID:
        return list(islice(found, offset, end))
    return in_order(env, model, found, terms)[offset:end]


def in_order(env: Env, model: Model, rows: Iterable[Row], terms: list[tuple[str, bool]] | None = None) -> list[Row]:
    """Return rows in some order, or in that of the model."""
    found = list(rows)
    if len(found) < 2:
        return found
    for name, descends in reversed(terms or parsed(model, None)):
        found.sort(key=_key(env, model, name), reverse=descends)
    return found


def _key(env: Env, model: Model, name: str) -> Callable[[Row], Any]:
    get = model.getter(env, name)
    field = model.fields[name]
    if field.type == "many2one":
        target = env[field.relation]
        first = parsed(target, None)[0][0]
        inner = target.getter(env, first)
        rows = target.table.rows

        def related(row: Row) -> Any:
            other = rows.get(get(row) or 0)
            value = None if other is None else inner(other)
            return value is None, value

        return related

    def own(row: Row) -> Any:
        value = get(row)
        return value is None, value

    return own
