"""Products in Odoo: variants and, where there are several of one, their template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.linked import code_key
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
from sync_pipelines.pipelines.commerce.products.odoo_variants import variant_for
from sync_pipelines.pipelines.commerce.products.writing import odoo_values
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PEER, TEMPLATES, VARIANTS, OdooClient, ProductVariant
from sync_pipelines.systems.odoo.listing import raise_malformed

PAGE_SIZE = 1000
_VARIANT, _TEMPLATE, _CHOICE = "product.product", "product.template", "product.template.attribute.value"
_CHUNK = 200
_MOST = 5000


class OdooProducts:
    """Reads and writes the products of an Odoo database. Keys are ``5`` for a variant and ``template/7``.

    Arguments:
        page_size: rows of a page when everything is read.
    """

    def __init__(self, client: OdooClient, settings: ProductSettings, *, page_size: int = PAGE_SIZE) -> None:
        self._client = client
        self._settings = settings
        self._page_size = page_size

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

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a product with one request; of a variation, the variant that Odoo makes of the template's attributes.

        Raises:
            PeerError: (permanent) there is no template with the family, or its variant has a code already.
        """
        kind = content["kind"]
        given = [name for name in content if name not in ("kind", "family", "options", "active", "price")]
        if kind == Kind.VARIABLE:
            message = "a template with variants is made by hand, with the internal reference of one variant"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=natural_key)
        if kind == Kind.SIMPLE:
            values = odoo_values(content, [*given, *(["price"] if "price" in content else [])], self._settings)
            return str(done_or_raise(await self._client.create(_VARIANT, [{"type": "consu", **values}])))
        siblings = await self._coded(content["family"] or "")
        templates = _templates(siblings)
        if len(templates) != 1:
            message = f"{len(templates)} templates have the variant {content['family']}; it takes one"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=natural_key)
        variant = await variant_for(self._client, templates.pop(), content["options"], natural_key)
        done_or_raise(await self._client.write(_VARIANT, [(variant, {"default_code": content["sku"]})]))
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

    async def _coded(self, code: str) -> Sequence[ProductVariant]:
        if not code_key(code):
            return ()
        page = await self._client.find(VARIANTS, _code_domain(code_key(code)), limit=_MOST)
        raise_malformed(page)
        return [row for row in page.rows if code_key(row.default_code) == code_key(code)]

    async def _whole_families(self, templates: Sequence[int], sweep: Sweep) -> AsyncIterator[list[Record]]:
        for chunk in _chunks(templates):
            page = await self._client.find(VARIANTS, [["product_tmpl_id", "in", chunk]], limit=_MOST)
            raise_malformed(page)
            async for records in self._families(page.rows, sweep):
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


def _code_domain(code: str) -> list[object]:
    """Return the domain of codes that differ in letter case and blanks only, and of some others."""
    escaped = code.replace("\\", "\\\\")
    patterns = [escaped, f"% {escaped}", f"{escaped} %", f"% {escaped} %"]
    return [*["|"] * (len(patterns) - 1), *(["default_code", "=ilike", pattern] for pattern in patterns)]


def _templates(rows: Iterable[ProductVariant]) -> set[int]:
    return {row.template.id for row in rows if row.template and row.attribute_value_ids}


def _chunks(ids: Sequence[int]) -> Iterable[list[int]]:
    return (list(ids[first : first + _CHUNK]) for first in range(0, len(ids), _CHUNK))
