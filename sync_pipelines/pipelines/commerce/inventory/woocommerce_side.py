"""Stock in the shop: products and variations that keep one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.inventory.mapping import not_creatable, stock_of_woo, woo_values
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.shop_products import ShopProducts
from sync_pipelines.systems.woocommerce import (
    PEER,
    Article,
    MalformedRecord,
    Reason,
    SkuHolder,
    Window,
    WooCommerceClient,
    WooCommerceError,
)

FIELDS = ("parent_id", "type", "status", "sku", "manage_stock", "stock_quantity")
_LOOKED_UP = 50
"""SKUs a request: they stand in its address."""


class WooInventory:
    """Reads and sets the stock of a shop's products and variations.

    Arguments:
        batch: products that are looked at or written in one request; 1 for each by itself.
    """

    def __init__(self, client: WooCommerceClient, shop: str, *, batch: int = 1) -> None:
        self._client = client
        self._shop = shop
        self._single = ShopProducts(client, batch)

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the stock of all products and variations."""
        sweep.identity = f"shop {self._shop}"
        async for articles in self._articles(sweep, None):
            yield _records(articles, sweep)

    async def touched(self, since: datetime, until: datetime | None = None) -> list[str]:
        """Return the natural keys of what changed in a window, to be looked at.

        A change of stock moves the time of change of a product in the shop, one by an order too.
        """
        keys: list[str] = []
        async for articles in self._articles(Sweep(), Window(since, until)):
            keys += [record.natural_key for record in _records(articles, Sweep())]
        return list(dict.fromkeys(keys))

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the stock of some SKUs."""
        sweep.identity = f"shop {self._shop}"
        for first in range(0, len(natural_keys), _LOOKED_UP):
            articles = await self._holding(natural_keys[first : first + _LOOKED_UP])
            sweep.seen += len(articles)
            yield _records(articles, sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return the stock of a SKU."""
        return _records(await self._holding([natural_key]), Sweep())

    async def read(self, right_key: str) -> Record | None:
        """Return the stock of a product or a variation, ``None`` when it is gone."""
        product, _, variation = right_key.partition("/")
        article: Article | None
        if variation:
            article = await self._client.variations(int(product)).get(int(variation))
        else:
            article = await self._single.get(int(product))
        if article is None or article.status == "trash":
            return None
        return stock_of_woo(article) or Record(right_key, "", {}, invalid="it has no SKU any more")

    async def create(self, natural_key: str, content: Content) -> str:
        """Refuse: stock makes no products."""
        raise PeerError(PEER, FailureKind.PERMANENT, str(not_creatable(content)), key=natural_key)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Set the stock."""
        if "quantity" not in fields:
            return
        product, _, variation = current.key.partition("/")
        if variation:
            await self._client.variations(int(product)).update(int(variation), woo_values(content))
        else:
            await self._single.update(int(product), woo_values(content))

    async def retire(self, current: Record) -> None:
        """Do nothing: a product whose stock is not compared any more keeps its last one."""

    async def _articles(self, sweep: Sweep, window: Window | None) -> AsyncIterator[Sequence[Article]]:
        parents: list[int] = []
        async for products in self._client.products.pages(sweep, window, fields=FIELDS):
            parents += [product.id for product in products.rows if product.type == "variable"]
            yield products.rows
        try:
            async for variations in self._client.all_variations().pages(sweep, window, fields=FIELDS):
                yield variations.rows
        except WooCommerceError as error:
            if error.reason is not Reason.NO_ROUTE:
                raise
            # Shops of before 9.1 have no list of all variations; a variation moves the time of its product along.
            for parent in parents:
                async for variations in self._client.variations(parent).pages(sweep, fields=FIELDS):
                    yield variations.rows

    async def _holding(self, skus: Sequence[str]) -> list[Article]:
        wanted = {code_key(sku) for sku in skus}
        # A comma separates SKUs in a look-up, so one that has a comma is looked up alone.
        alone = sorted(sku for sku in wanted if "," in sku)
        together = sorted(wanted - set(alone) - {""})
        holders: list[SkuHolder] = []
        for group in [*([together] if together else []), *([sku] for sku in alone)]:
            holders += await self._client.products.by_sku(group)
        found: list[Article] = []
        products = [holder.id for holder in holders if holder.type != "variation"]
        found += _whole(await self._client.products.some(products)) if products else []
        parents: dict[int, list[int]] = {}
        for holder in holders:
            if holder.type == "variation":
                parents.setdefault(holder.parent_id, []).append(holder.id)
        for parent, ids in parents.items():
            found += _whole(await self._client.variations(parent).some(ids))
        return found


def _whole(found: Mapping[int, Article | MalformedRecord]) -> Iterable[Article]:
    for article in found.values():
        if isinstance(article, MalformedRecord):
            raise article
        yield article


def _records(articles: Sequence[Article], sweep: Sweep) -> list[Record]:
    records = [stock_of_woo(article) for article in articles]
    sweep.ignored += records.count(None)
    return [record for record in records if record is not None]
