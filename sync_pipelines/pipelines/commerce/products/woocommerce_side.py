"""Products in WooCommerce."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.products.families import Family, FamilyOf, family_of_shop, no_family
from sync_pipelines.pipelines.commerce.products.mapping import (
    FAMILY,
    Kind,
    ProductSettings,
    record_of_shop,
    records_of_shop_family,
)
from sync_pipelines.pipelines.commerce.products.woocommerce_families import (
    TAKEN,
    first_variation,
    variable_product,
)
from sync_pipelines.pipelines.commerce.products.writing import shop_values
from sync_pipelines.pipelines.commerce.shop_products import ShopProducts
from sync_pipelines.systems.woocommerce import (
    PEER,
    Product,
    Reason,
    SkuHolder,
    Variation,
    Window,
    WooCommerceClient,
    WooCommerceError,
    reason_of,
)
from sync_pipelines.systems.woocommerce.listing import PAGE_SIZE


class WooCommerceProducts:
    """Reads and writes the products of a shop. Keys are ``12`` for a product and ``12/34`` for a variation of it.

    What is in the trash is there, and not active: it keeps its SKU, and comes back by a new status.

    Arguments:
        batch: products that are looked at or written in one request; 1 for each by itself.
        families: tells the families of Odoo, whose variable products are made with their first variation.
        page_size: rows of a page of a list.
    """

    def __init__(
        self,
        client: WooCommerceClient,
        settings: ProductSettings,
        *,
        batch: int = 1,
        families: FamilyOf = no_family,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._client = client
        self._settings = settings
        self._family_of = families
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._told: dict[str, Family | None] = {}
        self._single = ShopProducts(client, batch)
        self._page_size = page_size

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all products and variations, those in the trash included."""
        sweep.identity = "products"
        parents: list[Product] = []
        async for records in self._products(sweep, None, parents):
            yield records
        variations: dict[int, list[Variation]] = defaultdict(list)
        try:
            async for page in self._client.all_variations().pages(sweep):
                for row in page.rows:
                    variations[row.parent_id].append(row)
        except PeerError as error:
            if reason_of(error) is not Reason.NO_ROUTE:
                raise
            # Shops of before 9.1 have no list of all variations.
            for parent in parents:
                variations[parent.id] = await self._variations(parent.id, sweep)
        for parent in parents:
            yield records_of_shop_family(parent, variations.pop(parent.id, ()), self._settings)
        sweep.ignored += sum(len(orphans) for orphans in variations.values())

    async def changed(self, since: datetime, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the products that changed since a moment. A change of a variation moves its product's time as well."""
        sweep.identity = "products"
        parents: list[Product] = []
        async for records in self._products(sweep, Window(since=since), parents):
            yield records
        for parent in parents:
            yield await self._family(parent, sweep)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the products with these natural keys."""
        sweep.identity = "products"
        for key in natural_keys:
            records = await self.find(key)
            sweep.seen += len(records)
            yield records

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every product with a natural key, one in the trash included: it keeps its SKU."""
        holders = await self._holders(natural_key.removeprefix(FAMILY))
        keys = {
            str(holder.parent_id)
            if natural_key.startswith(FAMILY)
            else f"{holder.parent_id}/{holder.id}"
            if holder.type == Kind.VARIATION
            else str(holder.id)
            for holder in holders
            if holder.type == Kind.VARIATION or not natural_key.startswith(FAMILY)
        }
        records = [await self.read(key) for key in sorted(keys)]
        return [record for record in records if record is not None and record.natural_key == natural_key]

    async def read(self, right_key: str) -> Record | None:
        """Return one product or variation."""
        product = await self._single.get(int(right_key.partition("/")[0]))
        if product is None:
            return None
        if product.type != Kind.VARIABLE:
            return record_of_shop(product, self._settings) if "/" not in right_key else None
        records = await self._family(product, Sweep())
        return next((record for record in records if record.key == right_key), None)

    async def family(self, lowest: str) -> Family | None:
        """Return the family of which a variation has this SKU, ``None`` where there is none."""
        parents = {one.parent_id for one in await self._holders(lowest) if one.type == Kind.VARIATION}
        product = await self._client.products.get(parents.pop()) if len(parents) == 1 else None
        if product is None:
            return None
        return family_of_shop(product, await self._variations(product.id, Sweep()), self._settings)

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a simple product, or a variation below its family, with one request that creates.

        The first variation of a family makes the variable product, which takes a request of its own.

        Raises:
            PeerError: (permanent) the SKU belongs to something in the trash, or there is no family.
        """
        kind = content["kind"]
        fields = [name for name in content if name not in ("kind", "family", "options", "active")]
        values = shop_values(content, [*fields, *(["active"] if kind == Kind.VARIATION else [])], "", self._settings)
        try:
            if kind == Kind.VARIATION:
                # Siblings take turns: the first makes the product, and each may have to add an option to it.
                async with self._turns[content["family"] or natural_key]:
                    return await self._create_variation(content, values)
            if kind == Kind.VARIABLE:
                raise _refused("a variable product is made with the first of its variations", natural_key)
            return str((await self._client.products.create({**values, "type": "simple"})).id)
        except PeerError as error:
            if reason_of(error) not in TAKEN or "sku" not in values:
                raise
            trashed = await self._client.products.by_sku([values["sku"]], trash=True)
            if not trashed:
                raise
            message = (
                f"SKU {values['sku']!r:.60} belongs to product {trashed[0].id} in the trash; restore it or delete it "
                "for good in the shop, then reprocess the record"
            )
            raise WooCommerceError(FailureKind.PERMANENT, message, reason=Reason.DUPLICATE, key=natural_key) from error

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields to what is wanted: one request, and one more for the trash."""
        wanted = {**current.content, **content}
        status = current.meta["status"]
        values = shop_values(wanted, fields, status, self._settings)
        if values:
            await self._update(current.key, values)
        if "active" in fields and not wanted["active"] and current.meta["kind"] != Kind.VARIATION:
            await self._trash(current)

    async def retire(self, current: Record) -> None:
        """Put a product into the trash; make a variation private."""
        if current.meta["kind"] == Kind.VARIATION:
            await self._update(current.key, {"status": "private"})
        else:
            await self._trash(current)

    async def _trash(self, current: Record) -> None:
        if current.meta["status"] == "trash":
            return
        try:
            await self._client.products.trash(int(current.key))
        except PeerError as error:
            if error.kind is not FailureKind.GONE:
                raise

    async def _update(self, key: str, values: dict[str, object]) -> None:
        product_id, _, variation_id = key.partition("/")
        if variation_id:
            await self._client.variations(int(product_id)).update(int(variation_id), values)
        else:
            await self._single.update(int(product_id), values)

    async def _create_variation(self, content: Content, values: dict[str, object]) -> str:
        product = await self._product_for(content)
        if own := [one for one in await self._holders(content["sku"]) if one.parent_id == product.id]:
            # A sibling made it, which came first.
            return f"{product.id}/{own[0].id}"
        if (family := self._told.get(content["family"] or "")) and family.stock_kept:
            values = {**values, "manage_stock": True}
        options = dict(content["options"])
        attributes, missing = [], False
        for one in product.attributes:
            if one.variation and len(set(one.options)) == 1:
                options.setdefault(one.name, one.options[0])
            given = options.get(one.name)
            known = list(one.options)
            if one.variation and given and given not in known:
                known, missing = [*known, given], True
            shown = {"name": one.name, "options": known, "variation": one.variation, "visible": one.visible}
            attributes.append({"id": one.id, **shown})
        if unknown := options.keys() - {one.name for one in product.attributes if one.variation}:
            message = f"product {product.id} has no attribute {', '.join(sorted(unknown))}; give it one in the shop"
            raise _refused(message, content["sku"])
        if missing:
            await self._client.products.update(product.id, {"attributes": attributes})
        ids = {one.name: one.id for one in product.attributes}
        chosen = [{"id": ids[name], "name": name, "option": option} for name, option in options.items()]
        created = await self._client.variations(product.id).create({**values, "attributes": chosen})
        return f"{product.id}/{created.id}"

    async def _product_for(self, content: Content) -> Product:
        """Return the variable product of a variation's siblings; it is made where none of them is there."""
        lowest, key = content["family"] or "", content["sku"]
        holders = [one for one in await self._holders(lowest) if one.type == Kind.VARIATION]
        if not holders:
            if lowest not in self._told:
                self._told[lowest] = await self._family_of(lowest)
            family = self._told[lowest]
            if family is None:
                raise _refused(f"there is no variable product with the variation {lowest}", key)
            holders = await self._siblings(family, key)
            if not holders:
                if unfit := family.unfit(content["options"]):
                    raise _refused(unfit, key)
                made = await variable_product(self._client, family, key)
                await first_variation(self._client, made, family, self._settings)
                return made
        product = await self._client.products.get(holders[0].parent_id)
        if product is None:
            raise _refused(f"product {holders[0].parent_id}, the one above {lowest}, is gone from the shop", key)
        return product

    async def _siblings(self, family: Family, key: str) -> list[SkuHolder]:
        holders = [holder for sku in family.skus for holder in await self._holders(sku)]
        if alone := [one for one in holders if one.type != Kind.VARIATION]:
            message = (
                f"its sibling {alone[0].sku!r:.60} is product {alone[0].id} in the shop, no variation; give one of the "
                "two another SKU"
            )
            raise _refused(message, key)
        if len(parents := {one.parent_id for one in holders}) > 1:
            raise _refused(f"{len(parents)} variable products of the shop have variations of this family", key)
        return holders

    async def _holders(self, sku: str) -> list[SkuHolder]:
        if not sku.strip():
            return []
        holders = [*await self._client.products.by_sku([sku]), *await self._client.products.by_sku([sku], trash=True)]
        return [holder for holder in holders if code_key(holder.sku) == code_key(sku)]

    async def _products(
        self, sweep: Sweep, window: Window | None, parents: list[Product]
    ) -> AsyncIterator[Sequence[Record]]:
        for status in (None, "trash"):
            async for page in self._client.products.pages(sweep, window, status=status, page_size=self._page_size):
                parents += [row for row in page.rows if row.type == Kind.VARIABLE]
                yield self._records(page.rows)

    async def _family(self, product: Product, sweep: Sweep) -> list[Record]:
        return records_of_shop_family(product, await self._variations(product.id, sweep), self._settings)

    async def _variations(self, product_id: int, sweep: Sweep) -> list[Variation]:
        return [row async for page in self._client.variations(product_id).pages(sweep) for row in page.rows]

    def _records(self, rows: Iterable[Product]) -> list[Record]:
        return [record_of_shop(row, self._settings) for row in rows if row.type != Kind.VARIABLE]


def _refused(message: str, key: str) -> PeerError:
    return PeerError(PEER, FailureKind.PERMANENT, message, key=key)
