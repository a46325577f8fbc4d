"""What a field of a model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo.tables import Row

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.environment import Env

Compute = Callable[["Env", Row], Any]
Inverse = Callable[["Env", int, Any], None]


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        type: as ``fields_get`` tells it.
        label: its English name.
        relation: model of the records it leads to.
        inverse_name: the many2one of ``relation`` that a one2many is the other side of.
        selection: values and their labels.
        translate: whether it has one value a language.
        digits: decimals that a stored float is rounded to.
        default: value of a new record; a callable is given the environment.
        indexed: whether look-ups by equality are fast.
        compute: makes the value from the row; ``None`` reads the column of the field's name.
        inverse: stores a value written to a computed field; without it such a write is ignored.
    """

    type: str
    label: str
    required: bool = False
    readonly: bool = False
    relation: str = ""
    inverse_name: str = ""
    selection: Sequence[tuple[str, str]] = ()
    translate: bool = False
    digits: int | None = None
    default: Any = None
    indexed: bool = False
    compute: Compute | None = None
    inverse: Inverse | None = None

    @property
    def is_many(self) -> bool:
        return self.type in ("one2many", "many2many")

    @property
    def is_column(self) -> bool:
        """Whether a value is kept in the row."""
        return self.compute is None and self.type != "one2many"


Fields = Mapping[str, Field]
"""Fields by name."""


def char(label: str, **more: Any) -> Field:
    return Field("char", label, **more)


def text(label: str, **more: Any) -> Field:
    return Field("text", label, **more)


def html(label: str, **more: Any) -> Field:
    return Field("html", label, **more)


def integer(label: str, **more: Any) -> Field:
    return Field("integer", label, **more)


def floating(label: str, **more: Any) -> Field:
    return Field("float", label, **more)


def monetary(label: str, **more: Any) -> Field:
    return Field("monetary", label, **more)


def boolean(label: str, **more: Any) -> Field:
    return Field("boolean", label, **more)


def moment(label: str, **more: Any) -> Field:
    return Field("datetime", label, **more)


def day(label: str, **more: Any) -> Field:
    return Field("date", label, **more)


def choice(label: str, *options: tuple[str, str], **more: Any) -> Field:
    return Field("selection", label, selection=options, **more)


def many2one(relation: str, label: str, **more: Any) -> Field:
    return Field("many2one", label, relation=relation, **more)


def one2many(relation: str, inverse_name: str, label: str, **more: Any) -> Field:
    return Field("one2many", label, relation=relation, inverse_name=inverse_name, **more)


def many2many(relation: str, label: str, **more: Any) -> Field:
    return Field("many2many", label, relation=relation, **more)


LOG_FIELDS: dict[str, Field] = {
    "id": integer("ID", readonly=True),
    "display_name": char("Display Name", readonly=True),
    "create_date": moment("Created on", readonly=True),
    "create_uid": many2one("res.users", "Created by", readonly=True),
    "write_date": moment("Last Updated on", readonly=True),
    "write_uid": many2one("res.users", "Last Updated by", readonly=True),
}
"""What every record has. Values written to them are ignored."""
