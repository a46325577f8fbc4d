"""What is to be known of a shop before its lists are read."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.shopify.session import ShopifySession

SHOP_QUERY = """query SyncShop {
  shop { currencyCode }
  currentAppInstallation { accessScopes { handle } }
}"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop.

    Attributes:
        currency: that of its prices and of all shop money.
        scopes: what the app may do.
    """

    currency: str
    scopes: frozenset[str]

    @property
    def shows_all_orders(self) -> bool:
        """Whether orders older than 60 days are in the lists."""
        return "read_all_orders" in self.scopes

    def missing_scopes(self) -> list[str]:
        """Return the scopes that reading needs; one that may write may read, too."""
        return [
            f"read_{what}"
            for what in ("orders", "products")
            if not self.scopes & {f"read_{what}", f"write_{what}"} and not (what == "orders" and self.shows_all_orders)
        ]


async def read_shop(session: ShopifySession) -> Shop:
    """Return what the shop tells of itself."""
    data = await session.query(SHOP_QUERY)
    try:
        scopes = {scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]}
        return Shop(data["shop"]["currencyCode"], frozenset(scopes))
    except (KeyError, TypeError):
        raise session.transport.error(
            FailureKind.TRANSIENT, "the shop does not tell of itself", operation="query SyncShop"
        ) from None
