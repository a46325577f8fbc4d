"""Finding the variant of a template that stands for some options, and having Odoo make it where it is missing.

Odoo makes variants of the attributes of a template by itself; nobody creates them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.commerce.products.mapping import CHOICES, Choice
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PEER, VARIANTS, Entity, OdooClient, Reference
from sync_pipelines.systems.odoo.listing import raise_malformed
from sync_pipelines.systems.odoo.values import Row, record_id, reference

_LINE, _VALUE = "product.template.attribute.line", "product.attribute.value"


def _parse_line(row: Row) -> tuple[int, Reference | None]:
    return record_id(row), reference(row, "attribute_id")


_LINES = Entity(_LINE, ("attribute_id",), _parse_line)
_VALUES = Entity(_VALUE, ("name",), record_id)


async def variant_for(client: OdooClient, template: int, options: Mapping[str, str], key: str) -> int:
    """Return the variant without a code that stands for these options; a missing value is given to the template.

    Arguments:
        options: attribute -> option, for every attribute that has several.
        key: of the record, for messages.

    Raises:
        PeerError: (permanent) the template has no such attribute, or the variant has a code already.
    """
    choices = await _choices(client, template)
    for attribute, option in options.items():
        if (attribute, option) not in {(one.attribute, one.option) for one in choices}:
            await _offer(client, template, attribute, option, key)
    choices = await _choices(client, template)
    wanted = {one.id for one in choices if options.get(one.attribute) == one.option}
    page = await client.find(VARIANTS, [["product_tmpl_id", "=", template]], limit=5000)
    raise_malformed(page)
    named = {one.id for one in choices if one.attribute in options}
    found = [row for row in page.rows if set(row.attribute_value_ids) & named == wanted]
    if len(found) != 1:
        raise _refused(f"{len(found)} variants of the template {template} stand for {dict(options)!r:.100}", key)
    if found[0].default_code.strip():
        message = f"variant {found[0].id} stands for these options, and has the code {found[0].default_code!r:.60}"
        raise _refused(message, key)
    return found[0].id


async def _choices(client: OdooClient, template: int) -> tuple[Choice, ...]:
    page = await client.find(CHOICES, [["product_tmpl_id", "=", template]], limit=5000)
    raise_malformed(page)
    return page.rows


async def _offer(client: OdooClient, template: int, attribute: str, option: str, key: str) -> None:
    """Give a value of an attribute to a template. Done again it changes nothing."""
    page = await client.find(_LINES, [["product_tmpl_id", "=", template]])
    lines = [(number, kind) for number, kind in page.rows if kind is not None and kind.name == attribute]
    if len(lines) != 1 or lines[0][1] is None:
        raise _refused(f"the template {template} has no attribute {attribute!r:.60}; give it one in Odoo", key)
    line, kind = lines[0]
    known = await client.find(_VALUES, [["attribute_id", "=", kind.id], ["name", "=", option]])
    value = (
        known.rows[0]
        if known.rows
        else done_or_raise(await client.create(_VALUE, [{"attribute_id": kind.id, "name": option}]))
    )
    done_or_raise(await client.write(_LINE, [(line, {"value_ids": [[4, value, 0]]})]))


def _refused(message: str, key: str) -> PeerError:
    return PeerError(PEER, FailureKind.PERMANENT, message, key=key)
