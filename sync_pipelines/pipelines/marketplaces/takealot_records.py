"""Takealot's sales and offers in the common form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC
from decimal import Decimal
from enum import StrEnum

from sync_pipelines.core.marketplaces import (
    ItemError,
    Order,
    OrderItem,
    OrderStatus,
    ProblemKind,
    Product,
    ProductStatus,
    without,
)
from sync_pipelines.systems.takealot.client import Sales
from sync_pipelines.systems.takealot.models import CURRENCY, Offer, Sale, Unreadable

STATUSES: Mapping[str, OrderStatus] = {
    "New Lead Time Order": OrderStatus.NEW,
    "Preparing for Customer": OrderStatus.PROCESSING,
    "Inter DC Transfer": OrderStatus.PROCESSING,
    "Shipped to Customer": OrderStatus.SHIPPED,
    "Returned": OrderStatus.RETURNED,
}
"""Takealot lists its words nowhere; these are what its clients have met."""
CANCELLED = "Cancelled"
"""How the words of all kinds of cancellation begin."""
PRODUCT_STATUSES: Mapping[str, ProductStatus] = {
    "buyable": ProductStatus.ACTIVE,
    "not_buyable": ProductStatus.INACTIVE,
    "disabled_by_seller": ProductStatus.INACTIVE,
    "disabled_by_takealot": ProductStatus.INACTIVE,
}
PERSONAL = frozenset(
    {"customer", "customer_name", "customer_email", "customer_phone", "customer_comment", "delivery_address"}
)
"""Sales are described without any of these; should they come, they are not kept."""

_CENT = Decimal("0.01")
_ADVANCE = (OrderStatus.NEW, OrderStatus.PROCESSING, OrderStatus.SHIPPED)


class SellingPrice(StrEnum):
    """What ``selling_price`` of a sale is the price of. The description does not say, and its clients disagree."""

    LINE = "line"
    UNIT = "unit"


def amounts(sale: Sale, rule: SellingPrice) -> tuple[Decimal, Decimal | None]:
    """Return line total and unit price of a sale, in rand. The one place where the rule is applied."""
    if rule is SellingPrice.UNIT:
        return (sale.selling_price * sale.quantity).quantize(_CENT), sale.selling_price.quantize(_CENT)
    unit = sale.selling_price / sale.quantity if sale.quantity > 0 else None
    return sale.selling_price.quantize(_CENT), None if unit is None else unit.quantize(_CENT)


def status_of(word: str) -> OrderStatus | None:
    """Return the state of a sale; ``None`` for unknown words."""
    return OrderStatus.CANCELED if word.startswith(CANCELLED) else STATUSES.get(word)


def orders_of(sales: Sales, rule: SellingPrice) -> tuple[tuple[Order, ...], tuple[ItemError, ...]]:
    """Assemble orders of all their sales.

    An order of which a sale cannot be read is left as it is stored: without that item it would be another order.
    """
    broken = {one.order_id for one in sales.unreadable}
    items: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales.sales:
        items[sale.order_id].append(sale)
    orders = tuple(_order(key, found, rule) for key, found in items.items() if key not in broken)
    return orders, unreadable(sales.unreadable)


def unreadable(records: Iterable[Unreadable]) -> tuple[ItemError, ...]:
    """Return the item errors of sales and offers that cannot be read: by order, or by offer."""
    errors = []
    for one in records:
        key, part = (one.key, None) if one.order_id is None else (one.order_id, one.key)
        errors.append(
            ItemError(
                ProblemKind.UNREADABLE,
                "" if key is None else str(key),
                one.message,
                "" if part is None else str(part),
                without(one.raw, PERSONAL),
            )
        )
    return tuple(errors)


def _order(key: int, sales: list[Sale], rule: SellingPrice) -> Order:
    # The order of a list is not stated: by ids, the same order looks the same each time.
    sales = sorted(sales, key=lambda sale: sale.order_item_id)
    items = tuple(_item(sale, rule) for sale in sales)
    return Order(
        order_key=str(key),
        display_number=str(key),
        status=order_status(item.status for item in items),
        raw_status=tuple(sorted({sale.status for sale in sales})),
        status_unmapped=any(status_of(sale.status) is None for sale in sales),
        currency=CURRENCY,
        total=_sum(items),
        canceled_total=_sum(item for item in items if item.status is OrderStatus.CANCELED),
        refunded_total=_sum(item for item in items if item.status is OrderStatus.RETURNED),
        ordered_at=min(sale.ordered_at for sale in sales).astimezone(UTC),
        updated_at=None,
        items=items,
        raw={"sales": [without(sale.raw, PERSONAL) for sale in sales]},
    )


def order_status(items: Iterable[OrderStatus]) -> OrderStatus:
    """Return the state of an order: that of the least advanced item that is neither canceled nor returned."""
    states = set(items) - {OrderStatus.CANCELED}
    if not states:
        return OrderStatus.CANCELED
    return next((state for state in _ADVANCE if state in states), OrderStatus.RETURNED)


def _item(sale: Sale, rule: SellingPrice) -> OrderItem:
    line_total, unit_price = amounts(sale, rule)
    return OrderItem(
        item_key=str(sale.order_item_id),
        sku=sale.sku,
        product_key=None if sale.offer_id is None else str(sale.offer_id),
        quantity=Decimal(sale.quantity),
        status=status_of(sale.status) or OrderStatus.PROCESSING,
        currency=CURRENCY,
        unit_price=unit_price,
        line_total=line_total,
        extra={"sale_status": sale.status},
    )


def _sum(items: Iterable[OrderItem]) -> Decimal:
    return sum((item.line_total for item in items if item.line_total is not None), Decimal("0.00"))


def product_of(offer: Offer) -> Product:
    """Return an offer as a product."""
    return Product(
        product_key=str(offer.offer_id),
        sku=offer.sku,
        title=offer.title,
        status=PRODUCT_STATUSES.get(offer.status, ProductStatus.INACTIVE),
        raw_status=(offer.status,),
        currency=CURRENCY,
        price=None if offer.selling_price is None else offer.selling_price.quantize(_CENT),
        stock=offer.stock,
        updated_at=None if offer.updated_at is None else offer.updated_at.astimezone(UTC),
        raw=offer.raw,
    )
