"""Orders of the shop: read, and never made there."""

from __future__ import annotations

from collections.abc import Sequence

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.orders.mapping import not_creatable_in_shop, order_of_woo, woo_values
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.shop_orders import ShopOrders
from sync_pipelines.systems.woocommerce import PEER, WooCommerceClient


class WooOrders(ShopOrders):
    """Reads a shop's orders, and writes their status where a shop lets Odoo decide about it."""

    def __init__(self, client: WooCommerceClient, settings: OrderSettings, linked: Linked) -> None:
        super().__init__(client, settings, lambda order: order_of_woo(order, linked, settings))

    async def create(self, natural_key: str, content: Content) -> str:
        """Refuse: an order without a sale would be an invention."""
        raise PeerError(PEER, FailureKind.PERMANENT, str(not_creatable_in_shop(content)), key=natural_key)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write the status; nothing else of an order is changed from outside."""
        if "status" not in fields:
            return
        try:
            values = woo_values(content)
        except ValueError as problem:
            raise PeerError(PEER, FailureKind.PERMANENT, str(problem), key=current.natural_key) from None
        await self._client.orders.update(int(current.key), values)

    async def retire(self, current: Record) -> None:
        """Refuse: what a customer has ordered stays in the shop."""
        message = "an order of the shop is not taken away because Odoo has lost its own"
        raise PeerError(PEER, FailureKind.PERMANENT, message, key=current.natural_key)
