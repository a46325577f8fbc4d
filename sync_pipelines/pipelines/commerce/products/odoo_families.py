"""Making the template of a family of the shop, so that a kill at any step leaves what the next try goes on with.

The template is loaded under the external id of the shop's product, which names one record for ever: Odoo makes no
second one, however often it is asked. Its lines are loaded alike, Odoo makes the variants, and prices are written as
they are to be. Last comes the code of the variant that the family is called after: as long as no variant has one, the
template is not finished, and all of this is done again. The other codes are written with the variations themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sync_pipelines.pipelines.commerce.products.families import Family, extras_of
from sync_pipelines.pipelines.commerce.products.mapping import CHOICES, ProductSettings
from sync_pipelines.pipelines.commerce.products.odoo_attributes import (
    LINE,
    attribute_named,
    digest,
    lines_of,
    repeatable,
    values_named,
)
from sync_pipelines.pipelines.commerce.products.odoo_variants import coded_variant
from sync_pipelines.pipelines.commerce.products.writing import odoo_values
from sync_pipelines.systems.odoo import VARIANTS, LoadRecord, OdooClient
from sync_pipelines.systems.odoo.batches import Outcome
from sync_pipelines.systems.odoo.listing import raise_malformed

_TEMPLATE = "product.template"
_MOST = 5000


class OdooFamilies:
    """Makes templates.

    Arguments:
        module: of the external ids of what is made, e.g. ``wc_1``.
    """

    def __init__(self, client: OdooClient, module: str, settings: ProductSettings) -> None:
        self._client = client
        self._module = module
        self._settings = settings
        # Families of one run share attributes; two of them must not make the same one at the same time.
        self._attributes = asyncio.Lock()

    async def make(self, family: Family) -> int:
        """Return the template of a family, with its variants; those without a code are for the variations to take.

        Raises:
            PeerError: Odoo refuses something of it, or cannot be asked.
        """
        name = f"{self._module}.family_{family.number}"
        template = repeatable(
            await self._client.load(_TEMPLATE, [LoadRecord(name, {"name": family.name or family.skus[0]})])
        )
        if not await self._has_codes(template):
            shared = {"list_price": family.list_price, "sale_ok": family.for_sale, "is_storable": family.stock_kept}
            _all_done(await self._client.write(_TEMPLATE, [(template, shared)]))
            await self._give_lines(template, family, name)
            await self._write_extras(template, family)
            if first := family.first:
                # Whole, so that a run that finds it after a kill has nothing to settle.
                values = odoo_values(first.content, ("sku", "gtin", "weight"), self._settings)
                await coded_variant(self._client, self._module, template, values, first.options, first.sku)
        return template

    async def _has_codes(self, template: int) -> bool:
        page = await self._client.find(VARIANTS, [["product_tmpl_id", "=", template]], limit=_MOST)
        raise_malformed(page)
        return any(row.default_code.strip() for row in page.rows)

    async def _give_lines(self, template: int, family: Family, name: str) -> None:
        present = {kind.name for _, kind in await lines_of(self._client, template)}
        lines = []
        for attribute, options in family.attributes.items():
            if attribute in present:
                continue
            async with self._attributes:
                kind = await attribute_named(self._client, self._module, attribute)
                values = await values_named(self._client, self._module, kind, options)
            cells: dict[str, int | str] = {
                "product_tmpl_id/.id": template,
                "attribute_id/.id": kind,
                "value_ids/.id": ",".join(str(values[option]) for option in options),
            }
            lines.append(LoadRecord(f"{name}_{digest(attribute)}", cells))
        # All at once: with some of its lines only, a template has variants that are taken away again.
        if lines:
            _all_done(await self._client.load(LINE, lines))

    async def _write_extras(self, template: int, family: Family) -> None:
        extras = extras_of(family)
        page = await self._client.find(CHOICES, [["product_tmpl_id", "=", template]], limit=_MOST)
        raise_malformed(page)
        wanted = [(one, extras.get((one.attribute, one.option), one.extra)) for one in page.rows]
        _all_done(
            await self._client.write(
                CHOICES.model, [(one.id, {"price_extra": extra}) for one, extra in wanted if extra != one.extra]
            )
        )


def _all_done(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        repeatable([outcome])
