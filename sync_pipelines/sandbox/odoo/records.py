"""Records of one model: searched, read, created, written, removed - each call all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo import dates, ordering
from sync_pipelines.sandbox.odoo.calling import on_model, on_records
from sync_pipelines.sandbox.odoo.conversion import converted
from sync_pipelines.sandbox.odoo.domains import prepared
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import missing, value_error, value_missing
from sync_pipelines.sandbox.odoo.fields import LOG_FIELDS, Field
from sync_pipelines.sandbox.odoo.tables import Row, Table

Values = Mapping[str, Any]


class Model:
    """A model and its table. Subclasses say which fields there are and what else happens.

    Attributes:
        name, label: technical and English name.
        own_fields: all but those that every model has.
        order: default order.
        first_id: id of the first record.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    own_fields: ClassVar[Mapping[str, Field]]
    order: ClassVar[str] = "id"
    first_id: ClassVar[int] = 1

    def __init__(self) -> None:
        self.fields: dict[str, Field] = {**LOG_FIELDS, **self.own_fields}
        self.columns = {name: field for name, field in self.own_fields.items() if field.is_column}
        self.table = Table((name for name, field in self.fields.items() if field.indexed), self.first_id)
        self._empty = {
            name: False if field.type == "boolean" else () if field.type == "many2many" else None
            for name, field in self.columns.items()
        }

    # Fields are code: only what is in the table is to be kept.

    def __getstate__(self) -> Table:
        return self.table

    def __setstate__(self, table: Table) -> None:
        Model.__init__(self)
        self.table = table

    # What subclasses change.

    def display(self, env: Env, row: Row) -> str:
        """Return the name of a record as many2one fields tell it."""
        return str(row.get("name") or "")

    def defaults(self, env: Env, values: dict[str, Any]) -> None:
        """Complete the values of a new record."""

    def check(self, env: Env, row: Row) -> None:
        """Refuse a row by a constraint, after it was stored and before the transaction is committed."""

    def created(self, env: Env, row: Row, values: Values) -> None:
        """Do what follows from a new record."""

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        """Do what follows from a change."""

    def removing(self, env: Env, row: Row) -> None:
        """Refuse a removal, or do what it takes along."""

    def target_missing(self, env: Env, field_name: str, target: int, creating: bool) -> Exception:
        """Return the refusal of a many2one to a record that is not there."""
        return missing(self.fields[field_name].relation, target, env.user.id)

    # Calls.

    @on_model
    def search(
        self, env: Env, domain: Any, offset: int = 0, limit: int | None = None, order: str | None = None
    ) -> list[int]:
        return [row["id"] for row in self._page(env, domain, offset, limit, order)]

    @on_model
    def search_count(self, env: Env, domain: Any, limit: int | None = None) -> int:
        search = prepared(env, self, domain)
        count = len(search.candidates) if search.test is None else sum(1 for _ in search.found(self))
        return min(count, int(limit)) if limit else count

    @on_model
    def search_read(
        self,
        env: Env,
        domain: Any = None,
        fields: Any = None,
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[dict[str, Any]]:
        return self.told(env, self._page(env, domain or [], offset, limit, order), fields)

    @on_records
    def read(self, env: Env, ids: Any, fields: Any = None, load: str = "_classic_read") -> list[dict[str, Any]]:
        rows = self.table.rows
        return self.told(env, (rows[one] for one in as_ids(ids) if one in rows), fields)

    @on_model
    def create(self, env: Env, vals_list: Any) -> list[int]:
        created = [self._create(env, vals) for vals in ([vals_list] if isinstance(vals_list, dict) else vals_list)]
        for row_id in created:
            self.check(env, self.table.rows[row_id])
        return created

    @on_records
    def write(self, env: Env, ids: Any, vals: Any) -> bool:
        found = self.existing(env, ids)
        self._known(vals, "in")
        for row_id in found:
            self._write(env, self.table.rows[row_id], vals)
        for row_id in found:
            if row_id in self.table.rows:
                self.check(env, self.table.rows[row_id])
        return True

    @on_records
    def unlink(self, env: Env, ids: Any) -> bool:
        for row_id in self.existing(env, ids):
            if row_id in self.table.rows:
                self.removing(env, self.table.rows[row_id])
                env.journal.put(self.table, row_id, None)
                env.world.external_ids.forget(env, self.name, row_id)
        return True

    # What methods and other models use.

    def empty_row(self) -> Row:
        """Return the columns of a record without values."""
        return dict(self._empty)

    def existing(self, env: Env, ids: Any) -> list[int]:
        """Return ids as a list.

        Raises:
            OdooError: MissingError, when one is not there.
        """
        found = as_ids(ids)
        for one in found:
            if one not in self.table.rows:
                raise missing(self.name, one, env.user.id)
        return found

    def rows_where(self, column: str, value: Any) -> list[Row]:
        """Return the rows with a value in an indexed column, by id."""
        return [self.table.rows[one] for one in self.table.having(column, value)]

    def getter(self, env: Env, name: str) -> Callable[[Row], Any]:
        """Return a function that gives the value of a field, ``None`` when empty."""
        field = self.fields[name]
        if name == "display_name":
            return lambda row: self.display(env, row)
        if field.compute is not None:
            compute = field.compute
            return lambda row: compute(env, row)
        if field.type == "one2many":
            target, inverse = env[field.relation], field.inverse_name
            return lambda row: target.table.having(inverse, row["id"])
        if field.translate and env.lang != "en_US":
            other = f"{name}@{env.lang}"
            return lambda row: row.get(other, row.get(name))
        return itemgetter(name)

    def told(self, env: Env, rows: Iterable[Row], names: Any) -> list[dict[str, Any]]:
        """Return rows as they are answered, with the fields asked for or with all."""
        chosen = list(dict.fromkeys(["id", *(names or self.fields)]))
        for name in chosen:
            if name not in self.fields:
                raise value_error(f"Invalid field {name!r} on {self.name!r}")
        tellers = [(name, self._teller(env, name)) for name in chosen]
        return [{name: tell(row) for name, tell in tellers} for row in rows]

    def _teller(self, env: Env, name: str) -> Callable[[Row], Any]:
        field, get = self.fields[name], self.getter(env, name)
        if field.type == "many2one":
            target = env[field.relation]
            known: dict[int, Any] = {}

            def related(row: Row) -> Any:
                other = get(row)
                if other is None or other not in target.table.rows:
                    return False
                if other not in known:
                    known[other] = [other, target.display(env, target.table.rows[other])]
                return known[other]

            return related
        if field.is_many:
            return lambda row: self._links(env, field, get(row))
        if field.type in ("float", "monetary"):
            return lambda row: get(row) or 0.0
        if field.type == "integer":
            return lambda row: get(row) or 0
        if field.type == "boolean":
            return lambda row: bool(get(row))
        if field.type == "datetime":
            return lambda row: dates.shown(get(row))
        return lambda row: False if (value := get(row)) is None else value

    def _links(self, env: Env, field: Field, ids: Sequence[int] | None) -> list[int]:
        if not ids:
            return []
        target = env[field.relation]
        rows = (target.table.rows[one] for one in ids if one in target.table.rows)
        if "active" in target.fields and env.active_test:
            rows = (row for row in rows if row["active"])
        return [row["id"] for row in ordering.in_order(env, target, rows)]

    def _page(self, env: Env, domain: Any, offset: Any, limit: Any, order: str | None) -> list[Row]:
        return ordering.page(env, self, prepared(env, self, domain), order, int(offset or 0), int(limit or 0) or None)

    def _known(self, values: Values, word: str) -> None:
        for name in values:
            if name not in self.fields:
                raise value_error(f"Invalid field {name!r} {word} {self.name!r}")

    def _create(self, env: Env, sent: Values) -> int:
        self._known(sent, "in")
        given = {name[8:]: value for name, value in env.context.items() if name.startswith("default_")}
        values = {name: value for name, value in given.items() if name in self.fields} | dict(sent)
        for name, field in self.fields.items():
            if field.default is not None and name not in values:
                values[name] = field.default(env) if callable(field.default) else field.default
        self.defaults(env, values)
        columns = self._columns(env, values, self._empty, creating=True)
        row_id = self.table.next_id()
        for name, field in self.columns.items():
            if field.required and columns[name] in (None, ""):
                raise value_missing(field.label, name, self.label, self.name)
        row = env.put(self, {"id": row_id, **columns, "create_date": env.now, "create_uid": env.user.id})
        self.created(env, row, values)
        self._follow(env, row_id, values)
        return row_id

    def _write(self, env: Env, before: Row, values: Values) -> None:
        changes = self._columns(env, values, before, creating=False)
        for name in changes.keys() & self.columns.keys():
            if self.columns[name].required and changes[name] in (None, ""):
                raise value_missing(self.columns[name].label, name, self.label, self.name)
        row = env.put(self, before, **changes)
        self.written(env, before, row, values)
        self._follow(env, row["id"], values)

    def _columns(self, env: Env, values: Values, before: Row, creating: bool) -> dict[str, Any]:
        """Return the columns that values change; all columns for a new record."""
        columns: dict[str, Any] = dict(self._empty) if creating else {}
        for name, value in values.items():
            field = self.columns.get(name)
            if field is None:
                continue
            kept = converted(env, self, name, field, value, before.get(name))
            if field.type == "many2one" and kept is not None and kept not in env[field.relation].table.rows:
                raise self.target_missing(env, name, kept, creating)
            if field.translate and env.lang != "en_US":
                columns[f"{name}@{env.lang}"] = kept
                if not creating:
                    continue
            columns[name] = kept
        return columns

    def _follow(self, env: Env, row_id: int, values: Values) -> None:
        """Carry out the commands of one2many fields and the inverses of computed ones."""
        for name, value in values.items():
            field = self.fields[name]
            if field.inverse is not None:
                field.inverse(env, row_id, value)
            elif field.type == "one2many" and field.compute is None:
                self._command(env, field, row_id, value)

    def _command(self, env: Env, field: Field, row_id: int, value: Any) -> None:
        target = env[field.relation]
        for command in value or ():
            code, one = command[0], command[1] if len(command) > 1 else 0
            if code == 0:
                target.create(env, [{**command[2], field.inverse_name: row_id}])
            elif code == 1:
                target.write(env, [one], command[2])
            elif code in (2, 3):
                target.unlink(env, [one])
            elif code == 4:
                target.write(env, [one], {field.inverse_name: row_id})
            elif code in (5, 6):
                kept = set(command[2]) if code == 6 else set()
                target.unlink(
                    env, [other for other in target.table.having(field.inverse_name, row_id) if other not in kept]
                )

    @on_model
    def name_search(
        self, env: Env, name: str = "", domain: Any = None, operator: str = "ilike", limit: int | None = 100
    ) -> list[tuple[int, str]]:
        terms = [*([["name", operator, name]] if name else []), *(domain or [])]
        return self.named(env, self._page(env, terms, 0, limit, None))

    def named(self, env: Env, rows: Iterable[Row]) -> list[tuple[int, str]]:
        """Return ids with names."""
        return [(row["id"], self.display(env, row)) for row in rows]


def as_ids(ids: Any) -> list[int]:
    """Return ids in the forms that clients send: a list, or one number. Text is no id."""
    return [one for one in (ids if isinstance(ids, list | tuple) else [ids]) if type(one) is int]
