"""Orders and products of a marketplace in one form, whatever marketplace they come from.

Amounts are ``Decimal`` with the places the marketplace wrote: ``Decimal("5980")`` yen, ``Decimal("34.50")`` dollars.
An amount that is not known is ``None``, never 0. Times are aware and in UTC. Keys are texts, for some are larger than
what a number of JavaScript holds and others have leading zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Stream(StrEnum):
    """What is pulled of a connection; each has a watermark of its own."""

    ORDERS = "orders"
    PRODUCTS = "products"


class OrderStatus(StrEnum):
    """State of an order or of one of its items."""

    NEW = "new"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    ON_HOLD = "on_hold"
    CANCELED = "canceled"
    RETURNED = "returned"
    REFUNDED = "refunded"


class ProductStatus(StrEnum):
    """State of a product. Deleted products keep their last state; when they went is the store's to say."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PENDING = "pending"
    OUT_OF_STOCK = "out_of_stock"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One line of an order.

    Attributes:
        item_key: unique within its order and stable over changes.
        sku: the seller's; ``None`` when it has none, never ``""``.
        product_key, variant_key: as in :class:`Product`; ``None`` for a custom item or a deleted product.
        line_total: what the marketplace says the line amounts to.
        extra: further facts of this marketplace by their names in the documentation, e.g. ``asin``. JSON types.
    """

    item_key: str
    sku: str | None
    product_key: str | None
    quantity: Decimal
    status: OrderStatus
    currency: str | None
    unit_price: Decimal | None
    line_total: Decimal | None
    variant_key: str | None = None
    discount: Decimal | None = None
    title: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """An order as its marketplace tells of it, with all its items.

    Attributes:
        order_key: the marketplace's id. With the connection it is the natural key; a displayed number is not.
        raw_status: the words of the marketplace that ``status`` was read from.
        status_unmapped: whether one of these words is unknown; the status is ``processing`` then.
        total: gross as ordered, in ``currency``.
        canceled_total, refunded_total: parts of it; an amount is in one of them at most.
        items_total: what the lines add up to when that is not the total (shipping, fees); ``None``: the total itself.
        updated_at: time of the last change by the marketplace's clock; ``None`` where it does not tell.
        raw: the answer as it came, without personal data. JSON types, ``Decimal`` for numbers with a fraction.
        extra: further facts, e.g. ``presentment_currency``, ``region``. JSON types; amounts as texts.
    """

    order_key: str
    display_number: str
    status: OrderStatus
    raw_status: tuple[str, ...]
    currency: str | None
    total: Decimal | None
    canceled_total: Decimal | None
    refunded_total: Decimal | None
    ordered_at: datetime | None
    updated_at: datetime | None
    items: tuple[OrderItem, ...]
    raw: Mapping[str, Any]
    items_total: Decimal | None = None
    is_test: bool = False
    status_unmapped: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The natural key within a connection."""
        return self.order_key

    @property
    def net_total(self) -> Decimal | None:
        """What is left of the total after cancellations and refunds."""
        if self.total is None:
            return None
        return self.total - (self.canceled_total or 0) - (self.refunded_total or 0)


@dataclass(frozen=True, slots=True)
class Product:
    """Something that is offered for sale: one row for each variant.

    Attributes:
        product_key: the marketplace's id (Amazon: the seller's sku).
        variant_key: id of the variant; ``""`` where there are none. Both together are the natural key.
        raw_status: the marketplace's words; ``None`` when it says nothing.
        extra, raw: as in :class:`Order`.
    """

    product_key: str
    sku: str | None
    title: str | None
    status: ProductStatus
    raw_status: tuple[str, ...] | None
    currency: str | None
    price: Decimal | None
    updated_at: datetime | None
    raw: Mapping[str, Any]
    variant_key: str = ""
    stock: Decimal | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key that scans and deletions go by: a product goes with all its variants."""
        return self.product_key


class ProblemKind(StrEnum):
    """What is wrong with one record."""

    UNREADABLE = "unreadable"
    """It could not be brought into this form and is not stored; the payload is kept with the error."""
    NO_SKU = "no_sku"
    NO_PRODUCT = "no_product"
    NO_AMOUNT = "no_amount"
    UNKNOWN_STATUS = "unknown_status"
    TOTAL_DIFFERS = "total_differs"
    MIXED_CURRENCIES = "mixed_currencies"
    NOT_STORABLE = "not_storable"


@dataclass(frozen=True, slots=True)
class ItemError:
    """Something wrong with one record. It is listed until the record arrives without it.

    Attributes:
        key: of the order or product; ``""`` when not even that can be read.
        part: key of the item or variant concerned; ``""`` for the whole.
        message: for an operator, without personal data.
        payload: the record as it came, when it is not stored itself; without personal data.
    """

    kind: ProblemKind
    key: str
    message: str
    part: str = ""
    payload: Any = None


def problems_of_order(order: Order) -> Iterator[ItemError]:
    """List what is wrong with an order that can be stored all the same."""
    if order.status_unmapped:
        words = ", ".join(order.raw_status)
        yield ItemError(ProblemKind.UNKNOWN_STATUS, order.key, f"unknown status: {words}; taken for {order.status}")
    if order.total is None:
        yield ItemError(ProblemKind.NO_AMOUNT, order.key, "the marketplace gives no amount yet")
    for item in order.items:
        if item.product_key is None:
            yield ItemError(ProblemKind.NO_PRODUCT, order.key, "the line names no product", item.item_key)
        elif item.sku is None:
            yield ItemError(ProblemKind.NO_SKU, order.key, "the line has no sku", item.item_key)
    yield from _problems_of_sum(order)


def _problems_of_sum(order: Order) -> Iterator[ItemError]:
    if {item.currency for item in order.items} - {order.currency, None}:
        found = sorted({item.currency for item in order.items if item.currency is not None})
        message = f"the lines are in {', '.join(found)}, the order is in {order.currency}"
        yield ItemError(ProblemKind.MIXED_CURRENCIES, order.key, message)
        return
    expected = order.total if order.items_total is None else order.items_total
    lines = [item.line_total for item in order.items if item.line_total is not None]
    if expected is None or len(lines) != len(order.items):
        return
    if sum(lines, Decimal(0)) != expected:
        message = f"the lines add up to {sum(lines, Decimal(0))} {order.currency}, the order says {expected}"
        yield ItemError(ProblemKind.TOTAL_DIFFERS, order.key, message)


def problems_of_product(product: Product) -> Iterator[ItemError]:
    """List what is wrong with a product that can be stored all the same."""
    if product.sku is None:
        yield ItemError(ProblemKind.NO_SKU, product.key, "the product has no sku", product.variant_key)


def without(document: Any, names: Set[str]) -> Any:
    """Return a JSON document without the fields of these names, at any depth: customers are not ours to keep."""
    if isinstance(document, Mapping):
        return {name: without(value, names) for name, value in document.items() if name not in names}
    if isinstance(document, list | tuple):
        return [without(value, names) for value in document]
    return document
