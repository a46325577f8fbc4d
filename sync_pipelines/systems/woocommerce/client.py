"""The typed client of one shop."""

from __future__ import annotations

from typing import Any

from sync_pipelines.core.errors import PeerError
from sync_pipelines.systems.transport import Transport, TransportStats
from sync_pipelines.systems.woocommerce.errors import unexpected_shape
from sync_pipelines.systems.woocommerce.models import ShopSettings
from sync_pipelines.systems.woocommerce.resources import (
    CUSTOMERS,
    ORDERS,
    PRODUCTS,
    WEBHOOKS,
    AllVariations,
    Customers,
    Orders,
    Products,
    Refunds,
    Variations,
    Webhooks,
    all_variations,
    refunds_of,
    variations_of,
)
from sync_pipelines.systems.woocommerce.session import WooCommerceSession

_FAR = "2999-01-01T00:00:00"


class WooCommerceClient:
    """Reads and writes products, customers, orders and webhooks of one shop.

    Arguments:
        transport: from :func:`woocommerce_transport`; closed by whoever made it.
    """

    def __init__(self, transport: Transport) -> None:
        self._session = WooCommerceSession(transport)
        self.products = Products(self._session, "products", PRODUCTS)
        self.customers = Customers(self._session, "customers", CUSTOMERS)
        self.orders = Orders(self._session, "orders", ORDERS)
        self.webhooks = Webhooks(self._session, "webhooks", WEBHOOKS)

    @property
    def stats(self) -> TransportStats:
        """What was asked of the shop so far."""
        return self._session.transport.stats

    def variations(self, product_id: int) -> Variations:
        """Return the variations of a variable product. A change of one moves the product's time of change too."""
        return variations_of(self._session, product_id)

    def all_variations(self) -> AllVariations:
        """Return the list of all variations. Older shops have none: the error's reason is ``NO_ROUTE``."""
        return all_variations(self._session)

    def refunds(self, order_id: int) -> Refunds:
        """Return the refunds of an order. The order itself shows their ids and totals."""
        return refunds_of(self._session, order_id)

    async def settings(self) -> ShopSettings:
        """Return what amounts and weights of the shop mean. Needs the right to manage the shop."""
        general = await self._setting_values("general")
        products = await self._setting_values("products")
        taxes = await self._setting_values("tax")
        decimals = str(general.get("woocommerce_price_num_decimals", ""))
        return ShopSettings(
            currency=str(general.get("woocommerce_currency", "")),
            price_decimals=int(decimals) if decimals.isdecimal() else 2,
            prices_include_tax=taxes.get("woocommerce_prices_include_tax") == "yes",
            weight_unit=str(products.get("woocommerce_weight_unit", "")),
        )

    async def check(self) -> list[str]:
        """Return what is wrong with this connection, in an operator's words; empty when nothing is.

        The filter by time is tried out: a server or a proxy that ignores it would give everything at each run.
        """
        problems = []
        for path in ("products", "orders", "customers"):
            params = [("per_page", "1"), ("_fields", "id")]
            if path != "customers":
                params += [("modified_after", _FAR), ("dates_are_gmt", "true")]
            try:
                listing = await self._session.list(path, params)
            except PeerError as error:
                problems.append(f"{path}: {error}")
                continue
            if path != "customers" and listing.total:
                problems.append(f"{path}: the filter modified_after is ignored by this server; does a cache answer?")
        return problems

    async def _setting_values(self, group: str) -> dict[str, Any]:
        path = f"settings/{group}"
        rows = await self._session.read(path, [("_fields", "id,value")])
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
            raise unexpected_shape(self._session.operation("GET", path), write=False, reason="settings were expected")
        return {str(row["id"]): row.get("value") for row in rows}
