"""The records that shops are kept in step by: products, variations, customers, orders, and what hangs on orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_pipelines.sandbox.woocommerce import customers, orders, products
from sync_pipelines.sandbox.woocommerce.calls import Answer, Call, encoded, joined, trimmed
from sync_pipelines.sandbox.woocommerce.customers import customer_view
from sync_pipelines.sandbox.woocommerce.errors import ApiError, PhpCrash
from sync_pipelines.sandbox.woocommerce.links import address
from sync_pipelines.sandbox.woocommerce.listing import asked, listed, page_headers
from sync_pipelines.sandbox.woocommerce.model import Customer, Order, Product, Refund
from sync_pipelines.sandbox.woocommerce.order_lists import CUSTOMERS, ORDERS, customers_found, list_orders
from sync_pipelines.sandbox.woocommerce.order_view import note_view, order_view, refund_view
from sync_pipelines.sandbox.woocommerce.product_lists import PRODUCTS, products_found, variations_found
from sync_pipelines.sandbox.woocommerce.product_schema import PRODUCT, VARIATION
from sync_pipelines.sandbox.woocommerce.product_view import product_view, variation_view
from sync_pipelines.sandbox.woocommerce.resources import Resource
from sync_pipelines.sandbox.woocommerce.schema import BOOLEAN, META, MIXED, TEXT, Kind, Schema

_INVALID = "Invalid ID."
_REFUND: Schema = {
    "amount": TEXT,
    "reason": TEXT,
    "api_refund": BOOLEAN,
    "api_restock": BOOLEAN,
    "meta_data": META,
    "line_items": Kind("array", items=MIXED),
}


def _change_product(call: Call, product: Product, values: Mapping[str, Any]) -> Product:
    _refuse_variation(product)
    return products.update(call.world, product, values)


def _refuse_variation(product: Product) -> None:
    if product.parent:
        message = (
            "To manipulate product variations you should use the "
            "/products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint."
        )
        raise ApiError(404, "woocommerce_rest_invalid_product_id", message)


PRODUCT_RESOURCE: Resource[Product] = Resource(
    find=lambda call, number: call.world.products.get(number),
    create=lambda call, values: products.create(call.world, values),
    update=_change_product,
    trash=products.trash,
    remove=products.remove,
    view=product_view,
    new=PRODUCT,
    changed=PRODUCT,
    missing=("woocommerce_rest_product_invalid_id", _INVALID),
    missing_on_change=(400, "woocommerce_rest_product_invalid_id", _INVALID),
    location=lambda call, product: f"products/{product.id}",
    noun="product",
)


def delete_product(call: Call) -> Answer:
    """Answer a DELETE of a product; a variation has an address of its own."""
    product = call.world.products.get(call.names["id"])
    if product is not None:
        _refuse_variation(product)
    return PRODUCT_RESOURCE.delete(call)


def list_products(call: Call) -> Answer:
    """Answer a GET of products."""
    told = asked(call, PRODUCTS)
    return listed(call, told, lambda: products_found(call.world, told), product_view)


def _find_variation(call: Call, number: int) -> Product | None:
    product = call.world.products.get(number)
    return product if product is not None and product.parent == call.names["parent"] else None


def _add_variation(call: Call, values: Mapping[str, Any]) -> Product:
    parent = call.world.products.get(call.names["parent"])
    if parent is None:
        raise PhpCrash("Call to a member function get_parent_id() on null")
    return products.create(call.world, values, parent)


_NO_VARIATION = ("woocommerce_rest_product_variation_invalid_id", _INVALID)
VARIATION_RESOURCE: Resource[Product] = Resource(
    find=_find_variation,
    create=_add_variation,
    update=lambda call, product, values: products.update(call.world, product, values),
    trash=products.trash,
    remove=products.remove,
    view=variation_view,
    new=VARIATION,
    changed=VARIATION,
    missing=_NO_VARIATION,
    missing_on_change=(404, *_NO_VARIATION),
    # The shop tells the pattern of the address instead of the address (recorded).
    location=lambda call, product: f"products/(?P<product_id>[\\d]+)/variations/{product.id}",
    noun="product_variation",
    hides_missing=True,
)


def list_variations(call: Call) -> Answer:
    """Answer a GET of the variations of one product, or of all."""
    told = asked(call, PRODUCTS)
    return listed(call, told, lambda: variations_found(call.world, told, call.names.get("parent")), variation_view)


def batch_variations(call: Call) -> Answer:
    """Answer a batch of variations; the server breaks when there is no such product (recorded)."""
    if call.names["parent"] not in call.world.products:
        raise PhpCrash("Call to a member function get_parent_id() on null")
    return VARIATION_RESOURCE.batch(call)


_NO_USER = ("wc_user_invalid_id", "Invalid user ID.")
CUSTOMER_RESOURCE: Resource[Customer] = Resource(
    find=lambda call, number: call.world.customers.get(number),
    create=lambda call, values: customers.create(call.world, values),
    update=lambda call, customer, values: customers.update(call.world, customer, values),
    remove=customers.remove,
    view=customer_view,
    new=customers.NEW_CUSTOMER,
    changed=customers.CHANGED_CUSTOMER,
    required=("email",),
    missing=_NO_USER,
    missing_on_change=(404, *_NO_USER),
    location=lambda call, customer: f"customers/{customer.id}",
    plural="Customers",
    hides_missing=True,
)


def list_customers(call: Call) -> Answer:
    """Answer a GET of customers."""
    told = asked(call, CUSTOMERS)
    return listed(call, told, lambda: customers_found(call.world, told), customer_view)


ORDER_RESOURCE: Resource[Order] = Resource(
    find=lambda call, number: call.world.orders.get(number),
    create=lambda call, values: orders.create(call.world, values),
    update=lambda call, order, values: orders.update(call.world, order, values),
    trash=orders.trash,
    remove=orders.remove,
    view=order_view,
    new=orders.ORDER,
    changed=orders.ORDER,
    missing=("woocommerce_rest_shop_order_invalid_id", _INVALID),
    missing_on_change=(400, "woocommerce_rest_shop_order_invalid_id", "ID is invalid."),
    location=lambda call, order: f"orders/{order.id}",
    noun="shop_order",
)


def list_all_orders(call: Call) -> Answer:
    """Answer a GET of orders."""
    return list_orders(call, asked(call, ORDERS))


def _order_of(call: Call, status: int, data: int | None = None) -> Order:
    order = call.world.orders.get(call.names["parent"])
    if order is None:
        raise ApiError(status, "woocommerce_rest_invalid_order_id", "Invalid order ID.", data)
    return order


def _refund_of(call: Call, order: Order) -> Refund:
    found = next((made for made in order.refunds if made.id == call.names["id"]), None)
    if found is None:
        raise ApiError(404, "woocommerce_rest_shop_order_refund_invalid_id", _INVALID)
    return found


def list_refunds(call: Call) -> Answer:
    """Answer a GET of the refunds of an order, the newest first."""
    told, order = asked(call, ORDERS), _order_of(call, 404)
    rows = order.refunds[slice(*_page(told))]
    texts = (encoded(trimmed(refund_view(call.world, order, made), call.fields, in_list=True)) for made in rows)
    return Answer(joined(texts), headers=page_headers(call, told, len(order.refunds)))


def _page(told: Mapping[str, Any]) -> tuple[int, int]:
    size = told.get("per_page", 10)
    start = (told.get("page", 1) - 1) * size
    return start, start + size


def add_refund(call: Call) -> Answer:
    """Answer a POST of a refund; its refusals come as 500 with a number for data (recorded)."""
    values, order = call.values(_REFUND), _order_of(call, 500, 404)
    made = orders.refund(call.world, order, values)
    path = f"orders/(?P<order_id>[\\d]+)/refunds/{made.id}"
    text = encoded(trimmed(refund_view(call.world, order, made), call.fields, in_list=False))
    return Answer(text, 201, {"Location": address(call.world, path)})


def show_refund(call: Call) -> Answer:
    """Answer a GET of a refund."""
    order = _order_of(call, 404)
    view = refund_view(call.world, order, _refund_of(call, order))
    return Answer(encoded(trimmed(view, call.fields, in_list=False)))


def delete_refund(call: Call) -> Answer:
    """Answer a DELETE of a refund, which needs no force."""
    order = _order_of(call, 404)
    made = _refund_of(call, order)
    view = refund_view(call.world, order, made)
    orders.remove_refund(call.world, order, made)
    return Answer(encoded(trimmed(view, call.fields, in_list=False)))


def list_notes(call: Call) -> Answer:
    """Answer a GET of the remarks on an order, all of them, the newest first."""
    order = _order_of(call, 404)
    notes = [note for note in reversed(call.world.notes) if note.order_id == order.id]
    return Answer(joined(encoded(trimmed(note_view(call.world, it), call.fields, in_list=True)) for it in notes))


def add_note(call: Call) -> Answer:
    """Answer a POST of a remark."""
    values = call.values({"note": TEXT, "customer_note": BOOLEAN}, ("note",))
    order = _order_of(call, 404)
    note = orders.add_note(call.world, order, values["note"], to_customer=values.get("customer_note", False))
    path = f"orders/{order.id}/notes/{note.id}"
    return Answer(encoded(note_view(call.world, note)), 201, {"Location": address(call.world, path)})
