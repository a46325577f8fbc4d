"""Products in Odoo: variants and, where there are several of one, their template."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.products.families import Family, FamilyOf, family_of_odoo, no_family
from sync_pipelines.pipelines.commerce.products.mapping import (
    CHOICES,
    FAMILY,
    TEMPLATE,
    Choice,
    Kind,
    ProductSettings,
    record_of_odoo,
    records_of_odoo_family,
)
from sync_pipelines.pipelines.commerce.products.odoo_families import OdooFamilies
from sync_pipelines.pipelines.commerce.products.odoo_variants import coded_variant
from sync_pipelines.pipelines.commerce.products.writing import odoo_values
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PEER, TEMPLATES, VARIANTS, OdooClient, ProductVariant
from sync_pipelines.systems.odoo.listing import raise_malformed

PAGE_SIZE = 1000
_VARIANT, _TEMPLATE, _CHOICE = "product.product", "product.template", "product.template.attribute.value"
_CHUNK = 200
_CODES_AT_ONCE = 25
_MOST = 5000
_T = TypeVar("_T")


class OdooProducts:
    """Reads and writes the products of an Odoo database. Keys are ``5`` for a variant and ``template/7``.

    Arguments:
        families: tells the families of the shop, whose templates are made with their first variation.
        page_size: rows of a page when everything is read.
    """

    def __init__(
        self,
        client: OdooClient,
        settings: ProductSettings,
        families: FamilyOf = no_family,
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._client = client
        self._settings = settings
        self._page_size = page_size
        self._family_of = families
        self._module = f"wc_{settings.store}"
        self._maker = OdooFamilies(client, self._module, settings)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._templates: dict[str, int] = {}

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all variants, archived ones included, and the templates that have several."""
        sweep.identity = "products"
        several: list[ProductVariant] = []
        async for page in self._client.sweep(VARIANTS, sweep, page_size=self._page_size):
            several += [row for row in page.rows if row.attribute_value_ids]
            yield self._simple(page.rows)
        async for records in self._families(several, sweep):
            yield records

    async def changed(self, since: datetime, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the variants written since a moment of the server's time, each with its whole family.

        A change of a template moves its variants' time as well; one of their stock moves nothing.
        """
        sweep.identity = "products"
        templates: set[int] = set()
        async for page in self._client.sweep(VARIANTS, sweep, since=since, page_size=PAGE_SIZE):
            templates |= _templates(page.rows)
            yield self._simple(page.rows)
        async for records in self._whole_families(sorted(templates), sweep):
            yield records

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the products with these natural keys."""
        sweep.identity = "products"
        for key in natural_keys:
            records = await self.find(key)
            sweep.seen += len(records)
            yield records

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every product with a natural key, whatever the letter case of its code and the blanks around it."""
        rows = await self._coded(natural_key.removeprefix(FAMILY))
        found = [*self._simple(rows)]
        async for records in self._whole_families(sorted(_templates(rows)), Sweep()):
            found += records
        return [record for record in found if record.natural_key == natural_key]

    async def read(self, right_key: str) -> Record | None:
        """Return one variant or template."""
        if right_key.startswith(TEMPLATE):
            templates = [int(right_key.removeprefix(TEMPLATE))]
        else:
            page = await self._client.read(VARIANTS, [int(right_key)])
            raise_malformed(page)
            if simple := self._simple(page.rows):
                return simple[0]
            templates = sorted(_templates(page.rows))
        async for records in self._whole_families(templates, Sweep()):
            for record in records:
                if record.key == right_key:
                    return record
        return None

    async def family(self, lowest: str) -> Family | None:
        """Return the family of which a variant has this code, ``None`` where several templates have it."""
        templates = sorted(_templates(await self._coded(lowest)))
        if len(templates) != 1:
            return None
        page, told = await self._variants_of(templates), await self._client.read(TEMPLATES, templates)
        raise_malformed(told)
        choices = await self._choices(templates)
        return family_of_odoo(told.rows[0], page, choices, self._settings) if told.rows else None

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a product with one request; of a variation, the variant that Odoo makes of the template's attributes.

        The first variation of a family makes the template.

        Raises:
            PeerError: (permanent) there is no template and none can be made, or its variant has a code already.
        """
        kind = content["kind"]
        given = [name for name in content if name not in ("kind", "family", "options", "active", "price")]
        if kind == Kind.VARIABLE:
            raise _refused("a template is made with the first of its variants", natural_key)
        if kind == Kind.SIMPLE:
            values = odoo_values(content, [*given, *(["price"] if "price" in content else [])], self._settings)
            return str(done_or_raise(await self._client.create(_VARIANT, [{"type": "consu", **values}])))
        # Siblings take turns: the first of them makes the template, and two with the same options must not share one.
        async with self._turns[content["family"] or natural_key]:
            template = await self._template_for(natural_key, content)
            variant = await coded_variant(
                self._client, self._module, template, {"default_code": content["sku"]}, content["options"], natural_key
            )
        return str(variant)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields to what is wanted: one request for each model that holds some of them.

        Raises:
            PeerError: several attributes make the price of the variant (permanent); the rest was written.
        """
        wanted = {**current.content, **content}
        values = odoo_values(wanted, fields, self._settings)
        if values:
            is_template = current.key.startswith(TEMPLATE)
            model, number = (_TEMPLATE if is_template else _VARIANT), int(current.key.removeprefix(TEMPLATE))
            done_or_raise(await self._client.write(model, [(number, values)]))
        if current.meta["kind"] == Kind.SIMPLE and "active" in fields:
            await self._set_active(current, wanted["active"])
        if current.meta["kind"] == Kind.VARIATION and "price" in fields:
            await self._write_extra(current, wanted)

    async def retire(self, current: Record) -> None:
        """Archive a product: its orders need it."""
        await self._set_active(current, False)

    async def _set_active(self, current: Record, active: bool) -> None:
        # A template takes its variants along, and one whose only variant is archived by itself could stay behind.
        model, number = _VARIANT, int(current.key.removeprefix(TEMPLATE))
        if current.key.startswith(TEMPLATE):
            model = _TEMPLATE
        elif current.meta["kind"] == Kind.SIMPLE and current.meta["template_id"]:
            model, number = _TEMPLATE, current.meta["template_id"]
        change = self._client.unarchive if active else self._client.archive
        done_or_raise(await change(model, [number]))

    async def _write_extra(self, current: Record, wanted: Content) -> None:
        """Write the price of one variant as the extra price of its only attribute: its list price is its siblings'."""
        choices, extra = current.meta["choices"], current.meta["extra"]
        if len(choices) != 1 or extra is None:
            message = "several attributes make the price of this variant; set their extra prices in Odoo"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=current.key)
        moved = (wanted["price"] or Decimal(0)) - current.meta["shown_price"]
        done_or_raise(await self._client.write(_CHOICE, [(choices[0], {"price_extra": extra + moved})]))

    async def _template_for(self, natural_key: str, content: Content) -> int:
        """Return the template of a variation's siblings; it is made where none of them is there."""
        lowest = content["family"] or ""
        if lowest not in self._templates:
            templates = _templates(await self._coded(lowest))
            family = None if templates else await self._family_of(lowest)
            if family is not None:
                templates = await self._templates_of_siblings(natural_key, family)
                if not templates:
                    if unfit := family.unfit(content["options"]):
                        raise _refused(unfit, natural_key)
                    templates = {await self._maker.make(family)}
            if len(templates) != 1:
                raise _refused(f"{len(templates)} templates have the variant {lowest}; it takes one", natural_key)
            (self._templates[lowest],) = templates
        return self._templates[lowest]

    async def _templates_of_siblings(self, natural_key: str, family: Family) -> set[int]:
        rows = await self._coded(*family.skus)
        if alone := [row for row in rows if not row.attribute_value_ids]:
            message = (
                f"its sibling {alone[0].default_code.strip()!r:.60} is a product without options in Odoo; give all of "
                "them one template there, or another internal reference to that product"
            )
            raise _refused(message, natural_key)
        return _templates(rows)

    async def _coded(self, *codes: str) -> Sequence[ProductVariant]:
        wanted = sorted({code_key(code) for code in codes} - {""})
        found: list[ProductVariant] = []
        for chunk in _chunks(wanted, _CODES_AT_ONCE):
            page = await self._client.find(VARIANTS, _code_domain(chunk), limit=_MOST)
            raise_malformed(page)
            found += [row for row in page.rows if code_key(row.default_code) in chunk]
        return found

    async def _variants_of(self, templates: Sequence[int]) -> Sequence[ProductVariant]:
        page = await self._client.find(VARIANTS, [["product_tmpl_id", "in", list(templates)]], limit=_MOST)
        raise_malformed(page)
        return page.rows

    async def _whole_families(self, templates: Sequence[int], sweep: Sweep) -> AsyncIterator[list[Record]]:
        for chunk in _chunks(templates):
            async for records in self._families(await self._variants_of(chunk), sweep):
                yield records

    async def _families(self, variants: Iterable[ProductVariant], sweep: Sweep) -> AsyncIterator[list[Record]]:
        families: dict[int, list[ProductVariant]] = defaultdict(list)
        for variant in variants:
            if variant.template:
                families[variant.template.id].append(variant)
        for chunk in _chunks(sorted(families)):
            page = await self._client.read(TEMPLATES, chunk)
            sweep.gaps += [f"{row.key}: {row.message}" for row in page.malformed]
            choices = await self._choices(chunk)
            for template in page.rows:
                yield records_of_odoo_family(template, families[template.id], choices, self._settings)

    async def _choices(self, templates: Sequence[int]) -> Mapping[int, Choice]:
        page = await self._client.find(CHOICES, [["product_tmpl_id", "in", list(templates)]], limit=_MOST)
        raise_malformed(page)
        return {row.id: row for row in page.rows}

    def _simple(self, rows: Iterable[ProductVariant]) -> list[Record]:
        return [record_of_odoo(row, self._settings) for row in rows if not row.attribute_value_ids]


def _code_domain(codes: Sequence[str]) -> list[object]:
    """Return the domain of codes that differ in letter case and blanks only, and of some others."""
    escaped = [code.replace("\\", "\\\\") for code in codes]
    patterns = [form for code in escaped for form in (code, f"% {code}", f"{code} %", f"% {code} %")]
    return [*["|"] * (len(patterns) - 1), *(["default_code", "=ilike", pattern] for pattern in patterns)]


def _templates(rows: Iterable[ProductVariant]) -> set[int]:
    return {row.template.id for row in rows if row.template and row.attribute_value_ids}


def _chunks(items: Sequence[_T], size: int = _CHUNK) -> Iterable[list[_T]]:
    return (list(items[first : first + size]) for first in range(0, len(items), size))


def _refused(message: str, key: str) -> PeerError:
    return PeerError(PEER, FailureKind.PERMANENT, message, key=key)
