"""``load``: an upsert of rows of text by external id, which tells each bad row and stores nothing when there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo.errors import OdooError, value_error
from sync_pipelines.sandbox.odoo.fields import Field

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.environment import Env
    from sync_pipelines.sandbox.odoo.records import Model

_NO_ACCOUNTING = (
    'You do not have enough rights to access the field "credit_limit" on Contact (res.partner). '
    "Please contact your system administrator.\n\nOperation: read\nUser: {0}\n"
    "Groups: allowed for groups 'Show Accounting Features - Readonly', 'Accounting / Invoicing'"
)
_FALSE = frozenset(("", "0", "false", "no", "n"))

Message = dict[str, Any]


class _BadCell(Exception):
    """A cell that cannot be converted; carries its message."""

    def __init__(self, name: str, label: str, text: str, moreinfo: Message | None = None) -> None:
        super().__init__(text)
        more = {"moreinfo": moreinfo} if moreinfo else {}
        self.message: Message = {
            "type": "error",
            "field": name,
            "field_name": label,
            "message": text.format(label),
            **more,
        }


@dataclass(slots=True)
class _Record:
    """The rows of one record: the first, and those that only add to its lists."""

    first: int
    cells: dict[tuple[str, ...], str]
    lines: dict[str, list[dict[tuple[str, ...], str]]] = field(default_factory=dict)
    last: int = 0


def load(env: Env, model: Model, names: Any, data: Any) -> dict[str, Any]:
    """Create or update records.

    Arguments:
        names: column names: ``id`` (external id), ``.id``, a field, or a path such as ``country_id/id``.
        data: rows of text.

    Returns:
        ``ids``, ``False`` when anything was wrong, ``messages`` about the rows, and ``nextrow``.

    Raises:
        OdooError: a ValueError, for a column that is no field.
    """
    paths = [tuple(str(name).split("/")) for name in names]
    for path in paths:
        if path[0] not in model.fields and path[0] != ".id":
            raise value_error(f"Invalid field name {path[0]!r}")
    messages: list[Message] = []
    ids: list[int] = []
    mark = len(env.journal.changes)
    for record in _records(model, paths, data):
        rows = {"from": record.first, "to": record.last}
        try:
            ids.append(_store(env, model, record))
        except _BadCell as bad:
            messages.append({"rows": rows, "record": record.first, **bad.message})
        except OdooError as problem:
            if problem.status == 500:
                raise
            text = problem.message.removeprefix("The operation cannot be completed: ")
            messages.append({"rows": rows, "record": record.first, "type": "error", "message": text})
    if env.world.strikes(model.name, "load"):
        # Seen under load: it is told like a bad row, with status 200, although it is transient.
        text = "could not serialize access due to concurrent update\n"
        messages.append({"rows": {"from": 0, "to": 0}, "record": 0, "type": "error", "message": text})
    if messages:
        undone = type(env.journal)(env.journal.changes[mark:])
        undone.undo()
        del env.journal.changes[mark:]
    return {"ids": False if messages else ids, "messages": messages, "nextrow": 0}


def _records(model: Model, paths: list[tuple[str, ...]], data: Any) -> Iterator[_Record]:
    record: _Record | None = None
    for number, row in enumerate(data):
        cells = dict(zip(paths, row, strict=False))
        lists = {path[0] for path in paths if len(path) > 1 and model.fields[path[0]].type == "one2many"}
        own = {path: cell for path, cell in cells.items() if path[0] not in lists}
        if record is None or any(own.values()) or not lists:
            if record is not None:
                yield record
            record = _Record(number, own)
        record.last = number
        for name in lists:
            line = {path[1:]: cell for path, cell in cells.items() if path[0] == name}
            if any(line.values()):
                record.lines.setdefault(name, []).append(line)
    if record is not None:
        yield record


def _store(env: Env, model: Model, record: _Record) -> int:
    values = _values(env, model, record.cells)
    for name, lines in record.lines.items():
        target = env[model.fields[name].relation]
        values[name] = [[0, 0, _values(env, target, line)] for line in lines]
    name = record.cells.get(("id",), "")
    known = env.world.external_ids.find(name) if name else None
    by_number = record.cells.get((".id",))
    if model.name == "res.partner" and values.get("parent_id") and not {"invoicing", "admin"} & env.user.groups:
        raise OdooError("odoo.exceptions.AccessError", _NO_ACCOUNTING.format(env.user.id))
    if known or by_number:
        row_id = known[1] if known else int(by_number or 0)
        model.write(env, [row_id], values)
    else:
        row_id = model.create(env, [values])[0]
        if name:
            env.world.external_ids.set(env.as_superuser(), name, model.name, row_id)
    return row_id


def _values(env: Env, model: Model, cells: dict[tuple[str, ...], str]) -> dict[str, Any]:
    values = {}
    for path, cell in cells.items():
        if path[0] in ("id", ".id"):
            continue
        found = model.fields[path[0]]
        values[path[0]] = _linked(env, path, found, cell) if found.relation else _plain(path[0], found, cell)
    return values


def _plain(name: str, told: Field, cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    if told.type == "boolean":
        return cell.strip().lower() not in _FALSE
    if cell == "":
        return False
    if told.type in ("float", "monetary", "integer"):
        try:
            return int(cell) if told.type == "integer" else float(cell)
        except ValueError as problem:
            raise _BadCell(name, told.label, f"'{cell}' does not seem to be a number for field '{{0}}'") from problem
    if told.type == "selection":
        chosen = {label.lower(): value for value, label in told.selection} | {v: v for v, _ in told.selection}
        if cell not in chosen and cell.lower() not in chosen:
            raise _BadCell(name, told.label, f"Value '{cell}' not found in selection field '{{0}}'")
        return chosen.get(cell, chosen.get(cell.lower()))
    return cell


def _linked(env: Env, path: tuple[str, ...], told: Field, cell: Any) -> Any:
    name, how = path[0], path[1] if len(path) > 1 else ""
    texts = str(cell).split(",") if told.is_many else [str(cell)]
    ids = [_target(env, name, told, how, text) for text in texts if text]
    return [[6, 0, ids]] if told.is_many else ids[0] if ids else False


def _target(env: Env, name: str, told: Field, how: str, text: str) -> int:
    target = env[told.relation]
    if how == "id":
        known = env.world.external_ids.find(text)
        if known is None or known[0] != told.relation:
            more = _possible("ir.model.data") | {"domain": [["model", "=", told.relation]]}
            raise _BadCell(
                name, told.label, f"No matching record found for external id '{text}' in field '{{0}}'", more
            )
        return known[1]
    if how == ".id":
        if not text.isdigit() or int(text) not in target.table.rows:
            more = _possible(told.relation)
            raise _BadCell(
                name, told.label, f"No matching record found for database id '{text}' in field '{{0}}'", more
            )
        return int(text)
    found = target.name_search(env, text, operator="=")
    if not found:
        more = _possible(told.relation)
        raise _BadCell(name, told.label, f"No matching record found for name '{text}' in field '{{0}}'", more)
    return found[0][0]


def _possible(model: str) -> Message:
    return {
        "name": "Possible Values",
        "type": "ir.actions.act_window",
        "target": "new",
        "view_mode": "list,form",
        "views": [[False, "list"], [False, "form"]],
        "context": {"create": False},
        "help": "See all possible values",
        "res_model": model,
    }
