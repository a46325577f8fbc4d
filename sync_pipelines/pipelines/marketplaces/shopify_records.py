"""Orders and products of a Shopify shop in the common form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.marketplaces import (
    ItemError,
    Order,
    OrderItem,
    OrderStatus,
    ProblemKind,
    Product,
    ProductStatus,
)
from sync_pipelines.systems.shopify.listing import number_of
from sync_pipelines.systems.shopify.money import in_places

_FINANCIAL = frozenset(
    {"AUTHORIZED", "EXPIRED", "PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED", "VOIDED"}
)
_FULFILLMENT = frozenset(
    {"FULFILLED", "FULFILLMENT_NOT_REQUIRED", "IN_PROGRESS", "ON_HOLD", "OPEN", "PARTIALLY_FULFILLED"}
    | {"PENDING_FULFILLMENT", "REQUEST_DECLINED", "RESTOCKED", "SCHEDULED", "UNFULFILLED"}
)
_UNDER_WAY = frozenset({"PARTIALLY_FULFILLED", "IN_PROGRESS", "PENDING_FULFILLMENT", "SCHEDULED"})
_UNPAID = frozenset({"PENDING", "AUTHORIZED", "PARTIALLY_PAID"})
_PRODUCT_STATUSES: Mapping[str, ProductStatus] = {
    "ACTIVE": ProductStatus.ACTIVE,
    "UNLISTED": ProductStatus.ACTIVE,
    "ARCHIVED": ProductStatus.ARCHIVED,
}
# What a record that is not as described makes the code below raise.
_UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)

Node = Mapping[str, Any]


def orders_of(nodes: Iterable[Node]) -> tuple[list[Order], list[ItemError]]:
    """Return the readable orders, and an error for each of the others."""
    orders: list[Order] = []
    errors: list[ItemError] = []
    for node in nodes:
        try:
            orders.append(order_of(node))
        except _UNREADABLE as error:
            errors.append(_unreadable(node, error))
    return orders, errors


def products_of(nodes: Iterable[Node], currency: str) -> tuple[list[Product], list[ItemError]]:
    """Return the variants of the readable products, and an error for each of the other products."""
    products: list[Product] = []
    errors: list[ItemError] = []
    for node in nodes:
        try:
            products += variants_of(node, currency)
        except _UNREADABLE as error:
            errors.append(_unreadable(node, error))
    return products, errors


def keys_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    """Return the keys of all records that have one, unreadable ones included."""
    return tuple(key for node in nodes if (key := _key(node)))


def updated_times(nodes: Iterable[Node]) -> list[datetime]:
    """Return when the records were changed last; of an unreadable one nothing is told."""
    found = []
    for node in nodes:
        try:
            found.append(_time(node["updatedAt"]))
        except _UNREADABLE:
            continue
    return found


def order_of(node: Node) -> Order:
    """Return an order in the common form, its amounts in the currency of the shop.

    Raises:
        KeyError, TypeError, ValueError: it is not as described.
    """
    status, unmapped = status_of(node)
    total, currency = _money(node["totalPriceSet"]["shopMoney"])
    paid, paid_in = _money(node["totalPriceSet"]["presentmentMoney"])
    nothing = Decimal(0).quantize(total)
    canceled = status is OrderStatus.CANCELED
    return Order(
        order_key=number_of(node["id"]),
        display_number=str(node["name"]),
        status=status,
        raw_status=tuple(word for word in _words(node) if word is not None),
        status_unmapped=unmapped,
        currency=currency,
        total=total,
        # What was paid back when the order was canceled is not counted a second time.
        canceled_total=total if canceled else nothing,
        refunded_total=nothing if canceled else _money(node["totalRefundedSet"]["shopMoney"])[0],
        items_total=_money(node["subtotalPriceSet"]["shopMoney"])[0],
        ordered_at=_time(node["createdAt"]),
        updated_at=_time(node["updatedAt"]),
        is_test=bool(node["test"]),
        items=tuple(_item(line, status) for line in node["lineItems"]["nodes"]),
        raw=dict(node),
        extra={
            "presentment_currency": paid_in,
            "presentment_total": str(paid),
            "current_total": str(_money(node["currentTotalPriceSet"]["shopMoney"])[0]),
            "processed_at": node["processedAt"],
        },
    )


def status_of(node: Node) -> tuple[OrderStatus, bool]:
    """Return the state of an order, and whether one of the words that it was read from is unknown."""
    financial, fulfillment = _words(node)
    if node["cancelledAt"] is not None:
        return OrderStatus.CANCELED, False
    if financial not in _FINANCIAL or fulfillment not in _FULFILLMENT:
        return OrderStatus.PROCESSING, True
    if financial == "REFUNDED":
        return OrderStatus.REFUNDED, False
    if node["returnStatus"] == "RETURNED":
        return OrderStatus.RETURNED, False
    if fulfillment == "FULFILLED":
        return _fulfilled(node), False
    if fulfillment == "ON_HOLD" or financial in ("EXPIRED", "VOIDED"):
        return OrderStatus.ON_HOLD, False
    if fulfillment in _UNDER_WAY:
        return OrderStatus.PROCESSING, False
    return (OrderStatus.NEW if financial in _UNPAID else OrderStatus.PROCESSING), False


def _fulfilled(node: Node) -> OrderStatus:
    if node["closedAt"] is not None:
        return OrderStatus.COMPLETED
    shipments = [shipment["displayStatus"] for shipment in node["fulfillments"]]
    delivered = bool(shipments) and all(shipment == "DELIVERED" for shipment in shipments)
    return OrderStatus.DELIVERED if delivered else OrderStatus.SHIPPED


def _words(node: Node) -> tuple[str | None, str | None]:
    return node["displayFinancialStatus"], node["displayFulfillmentStatus"]


def _item(line: Node, status: OrderStatus) -> OrderItem:
    unit_price, currency = _money(line["originalUnitPriceSet"]["shopMoney"])
    line_total, _ = _money(line["discountedTotalSet"]["shopMoney"])
    quantity = Decimal(int(line["quantity"]))
    return OrderItem(
        item_key=number_of(line["id"]),
        sku=line["sku"] or None,
        product_key=_reference(line["product"]),
        variant_key=_reference(line["variant"]),
        title=line["title"],
        quantity=quantity,
        status=status,
        currency=currency,
        unit_price=unit_price,
        discount=unit_price * quantity - line_total,
        line_total=line_total,
        extra={"current_quantity": int(line["currentQuantity"])},
    )


def variants_of(node: Node, currency: str) -> list[Product]:
    """Return a product's variants in the common form; every product has one at least.

    Raises:
        KeyError, TypeError, ValueError: it is not as described.
    """
    own = {name: value for name, value in node.items() if name != "variants"}
    found = []
    for variant in node["variants"]["nodes"]:
        stock = variant["inventoryQuantity"]
        found.append(
            Product(
                product_key=number_of(node["id"]),
                variant_key=number_of(variant["id"]),
                sku=variant["sku"] or None,
                title=node["title"],
                status=_PRODUCT_STATUSES.get(node["status"], ProductStatus.INACTIVE),
                raw_status=(str(node["status"]),),
                currency=currency,
                price=in_places(variant["price"], currency),
                stock=None if stock is None else Decimal(int(stock)),
                updated_at=_time(node["updatedAt"]),
                raw={**own, "variant": variant},
                extra={"variant_title": variant["title"], "barcode": variant["barcode"]},
            )
        )
    return found


def _money(amount: Node) -> tuple[Decimal, str]:
    currency = amount["currencyCode"]
    return in_places(amount["amount"], currency), currency


def _reference(found: Node | None) -> str | None:
    return None if found is None else number_of(found["id"])


def _time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment.astimezone(UTC)


def _key(node: Node) -> str:
    try:
        return number_of(node["id"])
    except _UNREADABLE:
        return ""


def _unreadable(node: Node, error: Exception) -> ItemError:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return ItemError(ProblemKind.UNREADABLE, _key(node), f"not as described: {what}", payload=dict(node))
