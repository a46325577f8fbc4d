"""The collections of a shop and what each of them can do beyond the common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.seal import Sweep
from sync_pipelines.systems.woocommerce.collection import Collection, Kind
from sync_pipelines.systems.woocommerce.errors import Reason, WooCommerceError
from sync_pipelines.systems.woocommerce.listing import PAGE_SIZE, Window, malformed_record
from sync_pipelines.systems.woocommerce.models import Customer, Order, Product, Refund, SkuHolder, Variation, Webhook
from sync_pipelines.systems.woocommerce.parsing import (
    parse_customer,
    parse_order,
    parse_product,
    parse_refund,
    parse_sku_holder,
    parse_variation,
    parse_webhook,
)
from sync_pipelines.systems.woocommerce.session import WooCommerceSession
from sync_pipelines.systems.woocommerce.values import BadValue
from sync_pipelines.systems.woocommerce.wire import CUSTOMER, NEW_CUSTOMER, ORDER, PRODUCT, REFUND, VARIATION, body_of

_ARTICLE_FIELDS = (
    "id",
    "parent_id",
    "type",
    "status",
    "name",
    "sku",
    "global_unique_id",
    "price",
    "regular_price",
    "sale_price",
    "date_on_sale_from_gmt",
    "date_on_sale_to_gmt",
    "description",
    "manage_stock",
    "stock_quantity",
    "stock_status",
    "backorders",
    "weight",
    "dimensions",
    "tax_status",
    "tax_class",
    "attributes",
    "meta_data",
    "date_created_gmt",
    "date_modified_gmt",
)
PRODUCT_FIELDS = (*_ARTICLE_FIELDS, "short_description", "catalog_visibility", "categories", "variations")
CUSTOMER_FIELDS = (
    "id",
    "email",
    "first_name",
    "last_name",
    "username",
    "role",
    "billing",
    "shipping",
    "is_paying_customer",
    "meta_data",
    "date_created_gmt",
    "date_modified_gmt",
)
ORDER_FIELDS = (
    "id",
    "number",
    "status",
    "currency",
    "customer_id",
    "billing",
    "shipping",
    "line_items",
    "shipping_lines",
    "fee_lines",
    "coupon_lines",
    "tax_lines",
    "refunds",
    "total",
    "total_tax",
    "discount_total",
    "shipping_total",
    "prices_include_tax",
    "payment_method",
    "payment_method_title",
    "transaction_id",
    "customer_note",
    "created_via",
    "order_key",
    "meta_data",
    "date_created_gmt",
    "date_modified_gmt",
    "date_paid_gmt",
    "date_completed_gmt",
)
REFUND_FIELDS = ("id", "amount", "reason", "refunded_payment", "line_items", "date_created_gmt")
WEBHOOK_FIELDS = ("id", "name", "status", "topic", "delivery_url")
_SKU_FIELDS = "id,sku,type,parent_id,status"

# Product texts of the context "view" are rendered: paragraphs are put around them.
PRODUCTS: Kind[Product] = Kind(parse_product, PRODUCT_FIELDS, PRODUCT, context="edit")
VARIATIONS: Kind[Variation] = Kind(parse_variation, _ARTICLE_FIELDS, VARIATION, context="edit")
READ_VARIATIONS: Kind[Variation] = Kind(parse_variation, _ARTICLE_FIELDS, {}, context="edit")
# The default role is "customer": a shop manager or a subscriber who buys would be missing.
CUSTOMERS: Kind[Customer] = Kind(
    parse_customer, CUSTOMER_FIELDS, CUSTOMER, writable_once=NEW_CUSTOMER, filters=(("role", "all"),)
)
ORDERS: Kind[Order] = Kind(parse_order, ORDER_FIELDS, ORDER)
REFUNDS: Kind[Refund] = Kind(parse_refund, REFUND_FIELDS, {})
WEBHOOKS: Kind[Webhook] = Kind(parse_webhook, WEBHOOK_FIELDS, {})


T = TypeVar("T")


class Trashable(Collection[T]):
    """Records that can be put into the trash, and come back by a new status."""

    async def trash(self, record_id: int) -> None:
        """Put a record into the trash. One that is there already is ``GONE``, like one that does not exist."""
        await self._remove(record_id, force=False)

    async def delete(self, record_id: int) -> None:
        """Delete a record for good, one in the trash too."""
        await self._remove(record_id, force=True)


class Products(Trashable[Product]):
    """All products; variations have lists of their own."""

    async def by_sku(self, skus: Sequence[str], *, trash: bool = False) -> list[SkuHolder]:
        """Return the products and variations that have one of the SKUs, letter case aside.

        Arguments:
            skus: up to a hundred. One with a comma has to be looked up alone: it would be taken for several.
            trash: look in the trash instead: a trashed product still blocks its SKU.
        """
        wanted = {_folded(sku) for sku in skus}
        if not 0 < len(wanted) <= PAGE_SIZE or "" in wanted or (len(wanted) > 1 and "," in "".join(wanted)):
            raise ValueError(
                f"1 to {PAGE_SIZE} SKUs are needed, none of them empty, and one with a comma only by itself"
            )
        # "0" alone is no filter to PHP, and everything would be found.
        value = "0,0" if wanted == {"0"} else ",".join(sku.strip() for sku in skus)
        params = [("_fields", _SKU_FIELDS), ("sku", value), ("per_page", str(PAGE_SIZE))]
        listing = await self.session.list(self.path, [*params, *([("status", "trash")] if trash else [])])
        if listing.total > value.count(",") + 2:
            raise self._filter_ignored("sku", None)
        holders = [self._holder(index, row) for index, row in enumerate(listing.rows)]
        # The database takes accents for nothing, and the parts of a SKU with a comma for SKUs.
        return [holder for holder in holders if _folded(holder.sku) in wanted]

    def _holder(self, index: int, row: Any) -> SkuHolder:
        try:
            return parse_sku_holder(row)
        except BadValue as error:
            operation = self.session.operation("GET", self.path)
            raise malformed_record(operation, f"{self.path}[{index}]", row, error) from None


class Customers(Collection[Customer]):
    """All users of the shop, of any role. The shop tells neither what changed nor what is gone: only a whole pass does.

    With the keys of a shop manager users of higher roles can be read but not written.
    """

    _windows: ClassVar[bool] = False

    async def by_email(self, email: str) -> Customer | None:
        """Return the user with an address, letter case aside. Addresses are unique in a shop."""
        wanted = email.strip().casefold()
        found = await self._found([("email", email.strip())], "email", lambda row: row.email.casefold() == wanted)
        return found[0] if found else None

    async def delete(self, record_id: int) -> None:
        """Delete a customer for good: there is no trash for them."""
        await self._remove(record_id, force=True)


class Orders(Trashable[Order]):
    """All orders."""

    async def with_meta(self, key: str, value: str, *, window: Window) -> list[Order]:
        """Return the orders that carry a value in their meta data, e.g. the mark of a creation without an answer.

        The shop ignores filters by meta data, so all orders of the window are read.

        Raises:
            WooCommerceError: the window could not be read completely, so that nothing can be said.
        """
        sweep = Sweep()
        found: list[Order] = []
        async for page in self.pages(sweep, window):
            found += [order for order in page.rows if str(order.meta.get(key, "")) == value]
        if sweep.gaps or sweep.declared != sweep.seen:
            problem = "; ".join(sweep.gaps) or f"{sweep.declared} orders are declared, {sweep.seen} were read"
            operation = self.session.operation("GET", self.path)
            raise WooCommerceError(
                FailureKind.TRANSIENT, f"orders may be missing: {problem}", reason=Reason.UNKNOWN, operation=operation
            )
        return found


class Variations(Trashable[Variation]):
    """Variations of one product. The list of a product that does not exist is empty, not an error."""


class AllVariations(Collection[Variation]):
    """Variations of all products in one list, for reading only: they are written below their product."""


class Refunds(Collection[Refund]):
    """Refunds of one order."""

    async def create(self, values: Mapping[str, Any]) -> Refund:
        """Note a refund; no payment provider is asked to give money back. Refunds cannot be changed."""
        if not values.get("amount"):
            raise ValueError("a refund needs an amount")
        body = {**body_of(values, REFUND), "api_refund": False}
        row = await self.session.write("POST", self.path, body)
        return self._parsed("POST", self.path, row, None)

    async def delete(self, record_id: int) -> None:
        """Take a refund back."""
        await self._remove(record_id, force=True)


class Webhooks(Collection[Webhook]):
    """Subscriptions of receivers. Deliveries may be lost, merged, late or out of order: they are hints."""

    _windows: ClassVar[bool] = False

    async def all(self) -> list[Webhook]:
        """Return all webhooks."""
        return await self._found([], "per_page", lambda row: True)

    async def subscribe(self, name: str, topic: str, delivery_url: str, secret: str) -> Webhook:
        """Create an active webhook. Its first delivery is a ping without a signature.

        Arguments:
            topic: e.g. ``order.updated``.
            secret: key of the signatures; the shop never shows it again.
        """
        body = {"name": name, "topic": topic, "delivery_url": delivery_url, "secret": secret, "status": "active"}
        return self._parsed("POST", self.path, await self.session.write("POST", self.path, body), None)

    async def enable(self, record_id: int) -> Webhook:
        """Make a paused or disabled webhook active again."""
        path = self._record(record_id)
        return self._parsed("PUT", path, await self.session.write("PUT", path, {"status": "active"}), record_id)

    async def delete(self, record_id: int) -> None:
        """Delete a webhook."""
        await self._remove(record_id, force=True)


def all_variations(session: WooCommerceSession) -> AllVariations:
    """Return the list of the variations of all products."""
    return AllVariations(session, "variations", READ_VARIATIONS)


def variations_of(session: WooCommerceSession, product_id: int) -> Variations:
    """Return the variations of a product."""
    return Variations(session, f"products/{_checked(product_id)}/variations", VARIATIONS)


def refunds_of(session: WooCommerceSession, order_id: int) -> Refunds:
    """Return the refunds of an order."""
    return Refunds(session, f"orders/{_checked(order_id)}/refunds", REFUNDS)


def _checked(record_id: int) -> int:
    if type(record_id) is not int or record_id <= 0:
        raise ValueError(f"{record_id!r} is not an id")
    return record_id


def _folded(sku: str) -> str:
    return sku.strip().casefold()
