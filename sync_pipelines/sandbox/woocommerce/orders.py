"""What happens to orders: creation, changes, status, stock, trash, refunds."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import decimal_of
from sync_pipelines.sandbox.woocommerce.currencies import CURRENCIES
from sync_pipelines.sandbox.woocommerce.customers import ADDRESSES, BILLING, SHIPPING
from sync_pipelines.sandbox.woocommerce.errors import ApiError, PhpCrash
from sync_pipelines.sandbox.woocommerce.model import Note, Order, Refund
from sync_pipelines.sandbox.woocommerce.order_lines import LINES, add_meta, change_lines, money
from sync_pipelines.sandbox.woocommerce.products import change_stock, stock_keeper
from sync_pipelines.sandbox.woocommerce.schema import BOOLEAN, INTEGER, META, TEXT, Schema, numeric, one_of
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import given_moment

STATUSES = (
    "auto-draft",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
)
_TITLES = {"pending": "Pending payment", "on-hold": "On hold"}
_TAKES_STOCK = ("processing", "on-hold", "completed")
_GIVES_STOCK_BACK = ("pending", "cancelled")
_PAID = ("processing", "completed")
_TEXTS = ("payment_method", "payment_method_title", "transaction_id", "customer_note", "created_via")

ORDER: Schema = {
    "status": one_of(*STATUSES),
    "currency": one_of(*CURRENCIES),
    "parent_id": INTEGER,
    "customer_id": INTEGER,
    "set_paid": BOOLEAN,
    **dict.fromkeys(_TEXTS, TEXT),
    **ADDRESSES,
    **LINES,
    "meta_data": META,
}


def create(world: ShopState, values: Mapping[str, Any]) -> Order:
    """Make an order. The same request sent again makes another one: the shop knows no idempotency.

    Raises:
        ApiError: 400 for an unknown customer or a line that cannot be.
        PhpCrash: see :func:`change_lines`.
    """
    _check_customer(world, values)
    order = Order(id=0, created=world.now())
    order.billing, order.shipping = dict.fromkeys(BILLING, ""), dict.fromkeys(SHIPPING, "")
    order.values = {"currency": "EUR", "order_key": f"wc_order_{secrets.token_hex(7)[:13]}", "created_via": "rest-api"}
    order.created = given_moment(dict(values), "date_created", world.zone) or order.created
    change_lines(world, order, values)
    order.id = world.next_number("post")
    world.orders[order.id] = order
    _apply(world, order, values)
    world.announce("order", "created", order.id)
    world.announce("order", "updated", order.id)
    return order


def update(world: ShopState, order: Order, values: Mapping[str, Any]) -> Order:
    """Change an order; its time moves whatever is asked for.

    Raises:
        ApiError, PhpCrash: as :func:`create`.
    """
    _check_customer(world, values)
    before = copy.deepcopy(order.lines)
    try:
        change_lines(world, order, values)
    except (ApiError, PhpCrash):
        order.lines = before
        raise
    _apply(world, order, values)
    if order.status in _TAKES_STOCK:
        _take_stock(world, order)
    world.announce("order", "updated", order.id)
    return order


def trash(world: ShopState, order: Order) -> None:
    """Put an order into the trash. Its webhook goes out twice (recorded)."""
    order.values["status_before_trash"] = order.status
    order.status = "trash"
    world.touch(order)
    world.announce("order", "deleted", order.id, "trashed post")
    world.announce("order", "deleted", order.id, "trashed order")


def remove(world: ShopState, order: Order) -> None:
    """Delete an order for good; no webhook tells of it (recorded)."""
    _give_stock_back(world, order)
    del world.orders[order.id]
    world.forget_texts(order)


def order_total(order: Order) -> Decimal:
    """Return what an order costs."""
    kinds = ("line_items", "shipping_lines", "fee_lines")
    return sum((decimal_of(line["total"]) for kind in kinds for line in order.lines.get(kind, ())), Decimal(0))


def refund(world: ShopState, order: Order, values: Mapping[str, Any]) -> Refund:
    """Give back money; nothing left makes the order refunded, less leaves its status.

    Raises:
        ApiError: 500 for an amount that cannot be.
    """
    rows = values.get("line_items", ())
    told = values.get("amount") or str(sum(decimal_of(row.get("refund_total", 0)) for row in rows))
    amount = decimal_of(told)
    if amount <= 0:
        raise ApiError(500, "woocommerce_rest_invalid_order_refund", "Refund amount must be greater than zero.", 400)
    if amount > _left(order):
        raise ApiError(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", 500)
    made = _add_refund(world, order, amount, values.get("reason", ""))
    for row in rows:
        _refund_line(world, order, made, row)
    world.set_meta(made, values.get("meta_data", ()))
    if not _left(order):
        _set_status(world, order, "refunded")
    world.touch(order)
    world.announce("order", "updated", order.id)
    return made


def remove_refund(world: ShopState, order: Order, made: Refund) -> None:
    """Take back a refund."""
    order.refunds.remove(made)
    world.touch(order)


def add_note(world: ShopState, order: Order, text: str, *, to_customer: bool = False) -> Note:
    """Put a remark on an order."""
    number = world.next_number("note")
    note = Note(id=number, order_id=order.id, created=world.now(), text=text, to_customer=to_customer)
    world.notes.append(note)
    return note


def _check_customer(world: ShopState, values: Mapping[str, Any]) -> None:
    number = values.get("customer_id")
    if number and number not in world.customers:
        raise ApiError(400, "woocommerce_rest_invalid_customer_id", "Customer ID is invalid.")


def _apply(world: ShopState, order: Order, values: Mapping[str, Any]) -> None:
    order.values |= {name: values[name] for name in (*_TEXTS, "currency", "parent_id") if name in values}
    order.customer_id = values.get("customer_id", order.customer_id)
    order.billing |= {name: value for name, value in values.get("billing", {}).items() if name in BILLING}
    order.shipping |= {name: value for name, value in values.get("shipping", {}).items() if name in SHIPPING}
    world.set_meta(order, values.get("meta_data", ()))
    status = values.get("status")
    if status in STATUSES and status != order.status:
        _set_status(world, order, status)
    if values.get("set_paid") and order.status in ("pending", "on-hold", "failed", "cancelled"):
        _set_status(world, order, "processing")
    world.touch(order)
    customer = world.customers.get(order.customer_id)
    if customer is not None:
        customer.is_paying = customer.is_paying or order.status == "completed"
        world.touch(customer)
        world.announce("customer", "updated", customer.id)


def _set_status(world: ShopState, order: Order, status: str) -> None:
    was, order.status = order.status, status
    if status in _PAID and order.paid is None:
        order.paid = world.now()
    if status == "completed":
        order.completed = world.now()
    if status in _TAKES_STOCK:
        _take_stock(world, order)
    elif status in _GIVES_STOCK_BACK:
        _give_stock_back(world, order)
    elif status == "refunded" and _left(order):
        _add_refund(world, order, _left(order), "Order fully refunded.")
    if was != "trash":
        names = (_TITLES.get(it, it.capitalize()) for it in (was, status))
        add_note(world, order, "Order status changed from {} to {}.".format(*names))


def _reduced(line: Mapping[str, Any]) -> int:
    return int(next((meta["value"] for meta in line["meta_data"] if meta["key"] == "_reduced_stock"), 0))


def _take_stock(world: ShopState, order: Order) -> None:
    """Take from the stock what the lines have not taken yet, and give back what was taken for lines now gone."""
    lines = order.lines.get("line_items", [])
    kept = {line["id"] for line in lines}
    taken: dict[int, tuple[int, int]] = order.values.setdefault("taken_stock", {})
    for number in [number for number in taken if number not in kept]:
        product_id, pieces = taken.pop(number)
        if product_id in world.products:
            change_stock(world, world.products[product_id], pieces)
    for line in lines:
        product = world.products.get(line["variation_id"] or line["product_id"])
        keeper = stock_keeper(world, product) if product else None
        missing = line["quantity"] - _reduced(line)
        if keeper is not None and missing:
            change_stock(world, keeper, -missing)
            add_meta(world, line, [{"key": "_reduced_stock", "value": str(line["quantity"])}])
            taken[line["id"]] = keeper.id, line["quantity"]


def _give_stock_back(world: ShopState, order: Order) -> None:
    taken: dict[int, tuple[int, int]] = order.values.pop("taken_stock", {})
    for product_id, pieces in taken.values():
        if product_id in world.products:
            change_stock(world, world.products[product_id], pieces)
    for line in order.lines.get("line_items", ()):
        add_meta(world, line, [{"key": "_reduced_stock", "value": None}])


def _left(order: Order) -> Decimal:
    return order_total(order) - sum((decimal_of(made.amount) for made in order.refunds), Decimal(0))


def _add_refund(world: ShopState, order: Order, amount: Decimal, reason: str) -> Refund:
    kind = "full" if amount == _left(order) and not order.refunds else "partial"
    made = Refund(id=world.next_number("post"), created=world.now(), amount=money(amount), reason=reason)
    world.set_meta(made, [{"key": "_refund_type", "value": kind}])
    order.refunds.insert(0, made)
    return made


def _refund_line(world: ShopState, order: Order, made: Refund, row: Mapping[str, Any]) -> None:
    line = next((line for line in order.lines.get("line_items", ()) if line["id"] == row.get("id")), None)
    if line is None:
        return
    total, quantity = money(-decimal_of(row.get("refund_total", 0))), -int(numeric(row.get("quantity", 0)) or 0)
    copy = {**line, "id": world.next_number("item"), "quantity": quantity, "subtotal": total, "total": total}
    copy["meta_data"] = []
    add_meta(world, copy, [{"key": "_refunded_item_id", "value": str(line["id"])}])
    made.line_items.append(copy)
    product = world.products.get(line["variation_id"] or line["product_id"])
    keeper = stock_keeper(world, product) if product else None
    if keeper is not None and quantity:
        change_stock(world, keeper, -quantity)
