"""Amazon's orders and listings in the common form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    without,
)
from sync_pipelines.systems.amazon.client import parsed

STATUSES: Mapping[str, OrderStatus] = {
    "PENDING_AVAILABILITY": OrderStatus.NEW,
    "PENDING": OrderStatus.NEW,
    "UNSHIPPED": OrderStatus.PROCESSING,
    "PARTIALLY_SHIPPED": OrderStatus.PROCESSING,
    "SHIPPED": OrderStatus.SHIPPED,
    "CANCELLED": OrderStatus.CANCELED,
    "UNFULFILLABLE": OrderStatus.ON_HOLD,
}
PERSONAL = frozenset({"buyer", "recipient", "deliveryAddress", "customization", "gift", "payment"})
"""Fields that tell of the customer. They are not asked for; this is for the day on which one comes unasked."""

Record = Mapping[str, Any]
UNREADABLE = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""What reading a record of another shape than the published one comes to."""


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that went back, as Finances tells of it. ``amount`` is what the seller paid: positive."""

    transaction: str
    order: str
    posted: datetime
    amount: Decimal
    currency: str


def refund_of(transaction: Any) -> Refund | None:
    """Return the refund that a transaction is; ``None`` for any other transaction, and for one of no order.

    Raises:
        one of UNREADABLE: it is a refund that cannot be read.
    """
    if transaction["transactionType"] != "Refund":
        return None
    related = {one["relatedIdentifierName"]: one["relatedIdentifierValue"] for one in transaction["relatedIdentifiers"]}
    if "ORDER_ID" not in related:
        return None
    total = transaction["totalAmount"]
    return Refund(
        transaction=str(transaction["transactionId"]),
        order=str(related["ORDER_ID"]),
        posted=parsed(transaction["postedDate"]),
        # Read as a number with its places, never as a float: Finances writes numbers.
        amount=-Decimal(str(total["currencyAmount"])),
        currency=str(total["currencyCode"]),
    )


def read_order(raw: Any, refunds: Iterable[Refund], region: str) -> Order | ItemError:
    """Return an order, or what is wrong with it.

    Arguments:
        refunds: all of this order: its own answer says nothing of them.
    """
    try:
        return _order(raw, refunds, region)
    except UNREADABLE as error:
        return _unreadable(raw, "orderId", error)


def read_listing(raw: Any, marketplace: str, region: str) -> Product | ItemError:
    """Return a listing in one store, or what is wrong with it."""
    try:
        return _product(raw, marketplace, region)
    except UNREADABLE as error:
        return _unreadable(raw, "sku", error)


def _unreadable(raw: Any, key: str, error: Exception) -> ItemError:
    found = raw.get(key) if isinstance(raw, dict) else None
    payload = without(raw, PERSONAL)
    message = f"cannot be read: {type(error).__name__} {error}"
    return ItemError(ProblemKind.UNREADABLE, str(found or ""), message[:300], payload=payload)


@dataclass(frozen=True, slots=True)
class _Money:
    amount: Decimal
    currency: str


def _money(value: Record | None) -> _Money | None:
    if value is None or "amount" not in value:
        return None
    amount = Decimal(str(value["amount"]))
    if not amount.is_finite():
        raise ValueError(f"{value['amount']} is no amount")
    return _Money(amount, str(value["currencyCode"]))


def _order(raw: Record, refunds: Iterable[Refund], region: str) -> Order:
    word = (raw.get("fulfillment") or {}).get("fulfillmentStatus")
    status = _status(word, raw.get("packages") or ())
    items = tuple(_item(line, status) for line in raw["orderItems"])
    total, currency = _total(items, _money((raw.get("proceeds") or {}).get("grandTotal")))
    canceled = refunded = None
    if total is not None:
        nothing = Decimal(0).quantize(total)
        paid_back = (one.amount for one in refunds if one.currency == currency)
        refunded = _placed(sum(paid_back, nothing), nothing)
        canceled = total - refunded if status is OrderStatus.CANCELED else _canceled(items, nothing)
    channel = raw["salesChannel"]
    return Order(
        order_key=str(raw["orderId"]),
        display_number=str(raw["orderId"]),
        status=status,
        raw_status=() if word is None else (str(word),),
        status_unmapped=word not in STATUSES,
        currency=currency,
        total=total,
        canceled_total=canceled,
        refunded_total=refunded,
        ordered_at=parsed(raw["createdTime"]),
        updated_at=parsed(raw["lastUpdatedTime"]),
        items=items,
        raw=without(raw, PERSONAL),
        extra={
            "region": region,
            "marketplace_id": channel.get("marketplaceId"),
            "channel": channel.get("channelName"),
            "alias": _alias(raw.get("orderAliases") or ()),
            "fulfilled_by": (raw.get("fulfillment") or {}).get("fulfilledBy"),
        },
    )


def _status(word: str | None, packages: Sequence[Record]) -> OrderStatus:
    status = STATUSES.get(word or "", OrderStatus.PROCESSING)
    states = [(package.get("packageStatus") or {}).get("status") for package in packages]
    if status is OrderStatus.SHIPPED and states and all(state == "DELIVERED" for state in states):
        return OrderStatus.DELIVERED
    return status


def _total(items: Sequence[OrderItem], grand_total: _Money | None) -> tuple[Decimal | None, str | None]:
    """Return the sum of the lines, gross as ordered: the order's own sum seems to leave out what was canceled."""
    totals = [item.line_total for item in items]
    currencies = {item.currency for item in items if item.currency is not None}
    if len(currencies) > 1:
        return (None, None) if grand_total is None else (grand_total.amount, grand_total.currency)
    known = [total for total in totals if total is not None]
    if known and len(known) == len(totals):
        return sum(known[1:], known[0]), currencies.pop()
    return (None, None) if grand_total is None else (grand_total.amount, grand_total.currency)


def _canceled(items: Sequence[OrderItem], nothing: Decimal) -> Decimal:
    return sum((one.line_total or nothing for one in items if one.status is OrderStatus.CANCELED), nothing)


def _placed(amount: Decimal, like: Decimal) -> Decimal:
    """Return an amount with at least the places of another: a number of JSON has lost its zeros."""
    found = amount.quantize(like)
    return found if found == amount else amount


def _alias(aliases: Sequence[Record]) -> str | None:
    return next((str(one["aliasId"]) for one in aliases if one.get("aliasType") == "SELLER_ORDER_ID"), None)


def _item(line: Record, order_status: OrderStatus) -> OrderItem:
    product = line["product"]
    sku = product.get("sellerSku") or None
    proceeds = line.get("proceeds") or {}
    total = _money(proceeds.get("proceedsTotal"))
    price = _money((product.get("price") or {}).get("unitPrice"))
    currency = total or price
    return OrderItem(
        item_key=str(line["orderItemId"]),
        sku=sku,
        product_key=sku,
        title=product.get("title"),
        quantity=Decimal(str(line["quantityOrdered"])),
        status=OrderStatus.CANCELED if _is_canceled(line) else order_status,
        currency=None if currency is None else currency.currency,
        unit_price=None if price is None else price.amount,
        discount=None if total is None else _discount(proceeds.get("breakdowns") or (), total.amount),
        line_total=None if total is None else total.amount,
        extra={"asin": product["asin"]} if product.get("asin") else {},
    )


def _is_canceled(line: Record) -> bool:
    executed = (line.get("cancellation") or {}).get("cancellationExecution")
    counts = line.get("fulfillment") or {}
    return bool(executed) and not counts.get("quantityFulfilled") and not counts.get("quantityUnfulfilled")


def _discount(breakdowns: Sequence[Record], total: Decimal) -> Decimal:
    found = (_money(one.get("subtotal")) for one in breakdowns if one.get("type") == "DISCOUNT")
    return -sum((one.amount for one in found if one is not None), Decimal(0).quantize(total)) + 0


def _product(raw: Record, marketplace: str, region: str) -> Product:
    summaries = [one for one in raw.get("summaries") or () if one.get("marketplaceId", marketplace) == marketplace]
    summary = summaries[0] if summaries else None
    status = None if summary is None else tuple(map(str, summary.get("status") or ()))
    offers = [one for one in raw.get("offers") or () if one.get("marketplaceId", marketplace) == marketplace]
    offers.sort(key=lambda offer: offer.get("offerType") != "B2C")
    price = _money(offers[0].get("price")) if offers else None
    stock = [one["quantity"] for one in raw.get("fulfillmentAvailability") or () if one.get("quantity") is not None]
    changed = None if summary is None else summary.get("lastUpdatedDate")
    extra = {"asin": None if summary is None else summary.get("asin"), "marketplace_id": marketplace, "region": region}
    return Product(
        product_key=str(raw["sku"]),
        sku=str(raw["sku"]) or None,
        title=None if summary is None else summary.get("itemName"),
        status=ProductStatus.ACTIVE if "BUYABLE" in (status or ()) else ProductStatus.INACTIVE,
        raw_status=status,
        currency=None if price is None else price.currency,
        price=None if price is None else price.amount,
        stock=sum(map(Decimal, stock), Decimal(0)) if stock else None,
        updated_at=None if changed is None else parsed(changed),
        raw=without(raw, PERSONAL),
        extra=extra,
    )
