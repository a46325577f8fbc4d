"""Which orders and customers a list shows, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync_pipelines.sandbox.woocommerce.calls import Answer, Call
from sync_pipelines.sandbox.woocommerce.customers import ROLES, display_name
from sync_pipelines.sandbox.woocommerce.listing import COMMON, WINDOWS, chosen, listed, ordered, page_headers, within
from sync_pipelines.sandbox.woocommerce.model import Customer, Order
from sync_pipelines.sandbox.woocommerce.order_view import order_view
from sync_pipelines.sandbox.woocommerce.orders import STATUSES, order_total
from sync_pipelines.sandbox.woocommerce.schema import EMAIL, INTEGER, INTEGERS, Schema, one_of, texts
from sync_pipelines.sandbox.woocommerce.state import ShopState

ORDERS: Schema = {
    **COMMON,
    **WINDOWS,
    "orderby": one_of("date", "id", "include", "title", "slug", "modified", "price"),
    "status": texts("any", "trash", *STATUSES),
    "customer": INTEGER,
    "product": INTEGER,
    "dp": INTEGER,
    "parent": INTEGERS,
    "created_via": texts(),
}
CUSTOMERS: Schema = {
    **COMMON,
    "orderby": one_of("id", "include", "name", "registered_date"),
    "email": EMAIL,
    "role": one_of("all", *ROLES),
}
_ADDED = {"status": ["any"], "dp": 2, "context": "view"}

_ORDER_KEYS: Mapping[str, Callable[[Order], Any]] = {
    "date": lambda order: order.created,
    "modified": lambda order: order.modified,
    "price": order_total,
}
_CUSTOMER_KEYS: Mapping[str, Callable[[Customer], Any]] = {
    "name": lambda customer: display_name(customer).lower(),
    "registered_date": lambda customer: customer.created,
}


def list_orders(call: Call, told: Mapping[str, Any]) -> Answer:
    """Return a page of orders; the totals of a page past the end are 0 (recorded)."""
    answer = listed(call, told, lambda: _orders_found(call.world, told), order_view)
    page = told.get("page", 1)
    is_past = page > 1 and answer.text == "[]"
    total = 0 if is_past else int(answer.headers["X-WP-Total"])
    added = {name: value for name, value in _ADDED.items() if name not in call.query}
    extra = {"status": ["any"]} if is_past and "status" not in call.query else {} if is_past else added
    return Answer(answer.text, headers=page_headers(call, told, total, extra))


def _orders_found(world: ShopState, told: Mapping[str, Any]) -> list[Order]:
    wanted = told.get("status") or ["any"]
    rows = [order for order in chosen(told, world.orders) if order.status in wanted or _is_any(order, wanted)]
    if "customer" in told:
        rows = [order for order in rows if order.customer_id == told["customer"]]
    if "product" in told:
        rows = [order for order in rows if _holds(order, told["product"])]
    if "parent" in told:
        rows = [order for order in rows if order.values.get("parent_id", 0) in told["parent"]]
    if told.get("created_via"):
        rows = [order for order in rows if order.values["created_via"] in told["created_via"]]
    if told.get("search"):
        rows = [order for order in rows if _mentions(order, told["search"].lower())]
    key = _ORDER_KEYS.get(told.get("orderby", "date"), lambda order: order.id)
    return ordered(within(world, told, rows), key, told, "desc")


def _is_any(order: Order, wanted: list[str]) -> bool:
    return "any" in wanted and order.status not in ("trash", "auto-draft", "checkout-draft")


def _holds(order: Order, product: int) -> bool:
    return any(product in (line["product_id"], line["variation_id"]) for line in order.lines.get("line_items", ()))


def _mentions(order: Order, text: str) -> bool:
    places = [str(order.id), *order.billing.values(), *order.shipping.values()]
    places += [line["name"] for line in order.lines.get("line_items", ())]
    return any(text in place.lower() for place in places)


def customers_found(world: ShopState, told: Mapping[str, Any]) -> list[Customer]:
    """Return the users of ``/customers``, those of the role customer unless another is asked for.

    There is no window by time: ``modified_after`` is a parameter like any other that is unknown.
    """
    role = told.get("role", "customer")
    known = world.customers
    if told.get("email"):
        known = {number: known[number] for number in world.emails.find(told["email"])}
    rows = [customer for customer in chosen(told, known) if role in ("all", customer.role)]
    if told.get("search"):
        text = told["search"].lower()
        rows = [
            customer
            for customer in rows
            if text in f"{customer.email}\n{customer.username}\n{display_name(customer)}".lower()
        ]
    order = told.get("orderby", "name")
    if order == "include" and told.get("include"):
        return rows
    return ordered(rows, _CUSTOMER_KEYS.get(order, lambda customer: customer.id), told, "asc")
