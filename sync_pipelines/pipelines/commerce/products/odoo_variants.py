"""Finding the variant of a template that stands for some options, and having Odoo make it where it is missing.

Odoo makes variants of the attributes of a template by itself; nobody creates them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.products.mapping import CHOICES, Choice
from sync_pipelines.pipelines.commerce.products.odoo_attributes import LINE, lines_of, repeatable, values_named
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PEER, VARIANTS, OdooClient
from sync_pipelines.systems.odoo.listing import raise_malformed


async def coded_variant(
    client: OdooClient, module: str, template: int, values: Mapping[str, Any], options: Mapping[str, str], key: str
) -> int:
    """Give a code to the variant that stands for these options, and return it; the template gets missing ones.

    Arguments:
        module: of the external ids of what is made.
        values: what the variant is to have, its code among them.
        options: attribute -> option, for every attribute that has several.
        key: of the record, for messages.

    Raises:
        PeerError: (permanent) the template has no such attribute, or the variant has another code already.
    """
    choices = await _choices(client, template)
    for attribute, option in options.items():
        if (attribute, option) not in {(one.attribute, one.option) for one in choices}:
            await _offer(client, module, template, attribute, option, key)
    choices = await _choices(client, template)
    wanted = {one.id for one in choices if options.get(one.attribute) == one.option}
    page = await client.find(VARIANTS, [["product_tmpl_id", "=", template]], limit=5000)
    raise_malformed(page)
    named = {one.id for one in choices if one.attribute in options}
    found = [row for row in page.rows if set(row.attribute_value_ids) & named == wanted]
    if len(found) != 1:
        raise _refused(f"{len(found)} variants of the template {template} stand for {dict(options)!r:.100}", key)
    code = found[0].default_code
    if not code.strip():
        done_or_raise(await client.write(VARIANTS.model, [(found[0].id, values)]))
    elif code_key(code) != code_key(values["default_code"]):
        message = f"variant {found[0].id} stands for these options, and has the code {code!r:.60}"
        raise _refused(message, key)
    return found[0].id


async def _choices(client: OdooClient, template: int) -> tuple[Choice, ...]:
    page = await client.find(CHOICES, [["product_tmpl_id", "=", template]], limit=5000)
    raise_malformed(page)
    return page.rows


async def _offer(client: OdooClient, module: str, template: int, attribute: str, option: str, key: str) -> None:
    """Give a value of an attribute to a template. Done again it changes nothing."""
    lines = [(line, kind.id) for line, kind in await lines_of(client, template) if kind.name == attribute]
    if len(lines) != 1:
        raise _refused(f"the template {template} has no attribute {attribute!r:.60}; give it one in Odoo", key)
    ((line, kind),) = lines
    values = await values_named(client, module, kind, [option])
    repeatable(await client.write(LINE, [(line, {"value_ids": [[4, values[option], 0]]})]))


def _refused(message: str, key: str) -> PeerError:
    return PeerError(PEER, FailureKind.PERMANENT, message, key=key)
