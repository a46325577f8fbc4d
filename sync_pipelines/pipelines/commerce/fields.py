"""The readable table of an entity: which fields are kept equal, who decides about each, and where it can be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.records import Content
from sync_pipelines.core.two_way import Rule, Side


class Owner(StrEnum):
    """Whose value stands when both sides changed a field differently."""

    WOOCOMMERCE = "woocommerce"
    ODOO = "odoo"
    BOTH = "both"
    """Nobody's: a person decides."""

    @property
    def side(self) -> Side | None:
        """Side of the merge, ``None`` for both. WooCommerce stands on the left."""
        return {Owner.WOOCOMMERCE: Side.LEFT, Owner.ODOO: Side.RIGHT}.get(self)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the content of an entity's records.

    Attributes:
        name: as in ``Record.content``.
        owner: who decides; a plain text will do, e.g. ``"both"``.
        one_way: the owner's value always stands: what the other side says is drift.
        woocommerce, odoo: whether it can be written there. One that cannot is only compared.
        caution: what to know before it is changed, for the docs.
        wrong: says what is wrong with a value that a person gives; its form has been looked at.

    Raises:
        ValueError: no such owner, or a field that goes one way and is owned by both.
    """

    name: str
    owner: Owner | str
    one_way: bool = False
    woocommerce: bool = True
    odoo: bool = True
    caution: str = ""
    wrong: Callable[[Any], str | None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", Owner(self.owner))
        # Refuses a field that goes one way and has no owner.
        self.rule()

    def writable_at(self, system: Owner) -> bool:
        """Say whether the field can be written at a system."""
        return {Owner.WOOCOMMERCE: self.woocommerce, Owner.ODOO: self.odoo}[system]

    def rule(self) -> Rule:
        """Return what the merge goes by."""
        return Rule(Owner(self.owner).side, self.one_way)


@dataclass(frozen=True, slots=True)
class FieldTable:
    """All fields of an entity.

    Arguments:
        entity: e.g. ``customers``, for messages.

    Raises:
        ValueError: a name is there twice.
    """

    entity: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(f"{self.entity}: {', '.join(twice)} is there twice")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        return {field.name: field for field in self.fields}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the table."""
        return tuple(field.name for field in self.fields)

    def rules(self) -> dict[str, Rule]:
        """Return field -> what :func:`sync_pipelines.core.two_way.merge_two_ways` goes by."""
        return {field.name: field.rule() for field in self.fields}

    def writable_at(self, system: Owner | str) -> frozenset[str]:
        """Return the fields that can be written at a system, ``woocommerce`` or ``odoo``."""
        return frozenset(field.name for field in self.fields if field.writable_at(Owner(system)))

    def held_back_at(self, system: Owner | str) -> Callable[[Content, Content, Sequence[str]], dict[str, str]]:
        """Return ``(before, after, fields) -> {field: reason}`` for the fields that cannot be written at a system.

        They are given to a record when it is made; where they differ later, only a person can do something.
        """
        unwritable = frozenset(self.names) - self.writable_at(system)

        def held_back(before: Content, after: Content, fields: Sequence[str]) -> dict[str, str]:
            return {name: f"{name} cannot be written in {system}" for name in fields if name in unwritable}

        return held_back

    def overridden(self, owners: Mapping[str, str]) -> FieldTable:
        """Return the table with other owners for some fields, as the connections file of a shop has it.

        Arguments:
            owners: field -> ``woocommerce``, ``odoo`` or ``both``.

        Raises:
            ConfigurationError: one of them is not possible; the message says which, why, and what would be.
        """
        unknown = sorted(owners.keys() - set(self.names))
        if unknown:
            fields = ", ".join(self.names)
            raise ConfigurationError(f"{self.entity} have no field {', '.join(unknown)}; they have {fields}")
        return FieldTable(
            self.entity, tuple(self._owned(field, owners.get(field.name, field.owner)) for field in self.fields)
        )

    def _owned(self, field: Field, owner: str) -> Field:
        place = f"the owner of {self.entity}' {field.name}"
        if owner not in set(Owner):
            raise ConfigurationError(f"{place} is {owner!r}; it must be one of {', '.join(Owner)}")
        wanted = Owner(owner)
        if wanted == field.owner:
            return field
        if wanted is Owner.BOTH and field.one_way:
            raise ConfigurationError(f"{place} cannot be both: the field goes one way; name woocommerce or odoo")
        for system in (Owner.WOOCOMMERCE, Owner.ODOO):
            if system is not wanted and not field.writable_at(system):
                raise ConfigurationError(f"{place} cannot be {wanted}: the field cannot be written in {system}")
        return replace(field, owner=wanted)

    def markdown(self) -> str:
        """Return the table for the docs."""
        lines = ["| field | owner | direction | care |", "|---|---|---|---|"]
        lines += [
            f"| `{field.name}` | {field.owner} | {_direction(field)} | {field.caution} |" for field in self.fields
        ]
        return "\n".join(lines) + "\n"


def _direction(field: Field) -> str:
    if not field.woocommerce and not field.odoo:
        return "compared only"
    if not field.odoo:
        return "Odoo to WooCommerce"
    if not field.woocommerce:
        return "WooCommerce to Odoo"
    if field.one_way:
        return "WooCommerce to Odoo" if field.owner is Owner.WOOCOMMERCE else "Odoo to WooCommerce"
    return "both ways"
