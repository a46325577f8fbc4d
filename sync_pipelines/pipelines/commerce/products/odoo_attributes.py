"""Attributes of Odoo and their values, found by name or made. All of it may be repeated: it makes nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PEER, Entity, LoadRecord, OdooClient, Reference
from sync_pipelines.systems.odoo.batches import Outcome
from sync_pipelines.systems.odoo.listing import raise_malformed
from sync_pipelines.systems.odoo.values import Row, record_id, reference, text

ATTRIBUTE, VALUE = "product.attribute", "product.attribute.value"
LINE = "product.template.attribute.line"
_MOST = 5000


def _parse_line(row: Row) -> tuple[int, Reference | None]:
    return record_id(row), reference(row, "attribute_id")


def _parse_value(row: Row) -> tuple[int, str]:
    return record_id(row), text(row, "name")


_ATTRIBUTES = Entity(ATTRIBUTE, ("name",), record_id)
_VALUES = Entity(VALUE, ("name",), _parse_value)
_LINES = Entity(LINE, ("attribute_id",), _parse_line)


async def attribute_named(client: OdooClient, module: str, name: str) -> int:
    """Return the attribute with a name whose values make variants at once; it is made if there is none.

    Arguments:
        module: of the external ids of what is made.
    """
    # Those of another kind make no variants that could be given a code.
    page = await client.find(_ATTRIBUTES, [["name", "=", name], ["create_variant", "=", "always"]], limit=_MOST)
    raise_malformed(page)
    if page.rows:
        return min(page.rows)
    record = LoadRecord(f"{module}.attribute_{digest(name)}", {"name": name, "create_variant": "always"})
    return repeatable(await client.load(ATTRIBUTE, [record]))


async def values_named(client: OdooClient, module: str, attribute: int, options: Sequence[str]) -> Mapping[str, int]:
    """Return the values of an attribute by name; those that it lacks are made."""
    page = await client.find(
        _VALUES, [["attribute_id", "=", attribute], ["name", "in", list(options)]], limit=len(options) * 10
    )
    raise_malformed(page)
    known = {name: number for number, name in sorted(page.rows, reverse=True)}
    for option in options:
        if option not in known:
            name = f"{module}.value_{attribute}_{digest(option)}"
            made = LoadRecord(name, {"name": option, "attribute_id/.id": attribute})
            known[option] = repeatable(await client.load(VALUE, [made]))
    return known


async def lines_of(client: OdooClient, template: int) -> Sequence[tuple[int, Reference]]:
    """Return the attribute lines of a template, each with its attribute."""
    page = await client.find(_LINES, [["product_tmpl_id", "=", template]], limit=_MOST)
    raise_malformed(page)
    return [(number, kind) for number, kind in page.rows if kind is not None]


def repeatable(outcomes: Sequence[Outcome]) -> int:
    """Return the id of the only record of a write that may be sent again whatever became of it.

    Raises:
        PeerError: it was not done; transient where nobody knows.
    """
    try:
        return done_or_raise(outcomes)
    except PeerError as error:
        if error.kind is not FailureKind.AMBIGUOUS:
            raise
        raise PeerError(PEER, FailureKind.TRANSIENT, f"{error.message}; the next try sends it again") from error


def digest(name: str) -> str:
    """Return what stands for a name in an external id, which takes letters and digits only."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
