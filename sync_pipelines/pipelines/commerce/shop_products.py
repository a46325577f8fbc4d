"""Single products of the shop, looked at and changed for many records in one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipelines.core.errors import PeerError
from sync_pipelines.pipelines.commerce.gathering import Gathering
from sync_pipelines.systems.woocommerce import Product, WooCommerceClient


class ShopProducts:
    """Gets and updates products, those that are asked for at the same time together.

    Arguments:
        batch: products in one request; 1 for each by itself.
    """

    def __init__(self, client: WooCommerceClient, batch: int) -> None:
        self._client = client
        self._gets = Gathering(self._get, batch)
        self._updates = Gathering(self._update, batch)

    async def get(self, product: int) -> Product | None:
        """Return a product, one in the trash too; ``None`` when there is none."""
        return await self._gets.ask(product)

    async def update(self, product: int, values: Mapping[str, Any]) -> None:
        """Change some fields of a product. Safe to repeat.

        Raises:
            PeerError: of this product, or of the request that it was in.
        """
        # In a request with others it would keep all of them from being sent.
        self._client.products.must_be_sendable(values)
        await self._updates.ask((product, values))

    async def _get(self, ids: Sequence[int]) -> Sequence[Product | PeerError | None]:
        if len(ids) == 1:
            return [await self._client.products.get(ids[0])]
        found = await self._client.products.some(list(dict.fromkeys(ids)))
        # A list leaves out what is in the trash.
        return [found[number] if number in found else await self._client.products.get(number) for number in ids]

    async def _update(self, updates: Sequence[tuple[int, Mapping[str, Any]]]) -> Sequence[Product | PeerError]:
        if len(updates) == 1:
            return [await self._client.products.update(*updates[0])]
        return (await self._client.products.batch(update=updates)).updated
