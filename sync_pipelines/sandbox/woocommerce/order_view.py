"""Orders, refunds and notes as the API tells them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import decimal_of
from sync_pipelines.sandbox.woocommerce.links import address, links
from sync_pipelines.sandbox.woocommerce.model import Note, Order, Refund
from sync_pipelines.sandbox.woocommerce.order_lines import money
from sync_pipelines.sandbox.woocommerce.orders import order_total
from sync_pipelines.sandbox.woocommerce.product_view import meta_view
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import both

_UNTAXED = {"total_tax": "0.00", "taxes": []}
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}


def order_view(world: ShopState, order: Order, context: str) -> dict[str, Any]:
    """Return an order as the API tells it, the same in both contexts."""
    total = order_total(order)
    lines = {kind: order.lines.get(kind, []) for kind in ("line_items", "shipping_lines", "fee_lines", "coupon_lines")}
    items = lines["line_items"]
    discount = sum((decimal_of(line["subtotal"]) - decimal_of(line["total"]) for line in items), Decimal(0))
    shipping = sum((decimal_of(line["total"]) for line in lines["shipping_lines"]), Decimal(0))
    text = {name: order.values.get(name, "") for name in ("payment_method", "payment_method_title", "transaction_id")}
    key = order.values["order_key"]
    view = {
        "id": order.id,
        "parent_id": order.values.get("parent_id", 0),
        "status": order.status,
        "currency": order.values["currency"],
        "version": "11.0.1",
        "prices_include_tax": False,
        **both("date_created", order.created, world.zone),
        **both("date_modified", order.modified, world.zone),
        **both("date_completed", order.completed, world.zone),
        **both("date_paid", order.paid, world.zone),
        "discount_total": money(discount),
        "shipping_total": money(shipping),
        **dict.fromkeys(("discount_tax", "shipping_tax", "cart_tax", "total_tax"), "0.00"),
        "total": money(total),
        "customer_id": order.customer_id,
        "order_key": key,
        "billing": dict(order.billing),
        "shipping": dict(order.shipping),
        **text,
        "customer_ip_address": "",
        "customer_user_agent": "",
        "created_via": order.values["created_via"],
        "customer_note": order.values.get("customer_note", ""),
        "cart_hash": "",
        "number": str(order.id),
        "meta_data": meta_view(order),
        "line_items": [_item(line) for line in items],
        "tax_lines": [],
        "shipping_lines": [_shipping(line) for line in lines["shipping_lines"]],
        "fee_lines": [_fee(line) for line in lines["fee_lines"]],
        "coupon_lines": [{**line, "discount_tax": "0", "free_shipping": False} for line in lines["coupon_lines"]],
        "refunds": [_short_refund(made) for made in order.refunds],
        "payment_url": f"{world.site_url}/checkout/order-pay/{order.id}/?pay_for_order=true&key={key}",
        "is_editable": order.status in ("pending", "on-hold", "auto-draft"),
        "needs_payment": order.status in ("pending", "failed") and total > 0,
        "needs_processing": any(_is_shipped(world, line) for line in items),
        "currency_symbol": _SYMBOLS.get(order.values["currency"], order.values["currency"]),
        "_links": links(world, f"orders/{order.id}", "orders"),
    }
    templates = address(world, f"orders/{order.id}/actions/email_templates")
    view["_links"]["email_templates"] = [{"embeddable": True, "href": templates}]
    if order.customer_id:
        view["_links"]["customer"] = [{"href": address(world, f"customers/{order.customer_id}")}]
    return view


def refund_view(world: ShopState, order: Order, made: Refund) -> dict[str, Any]:
    """Return a refund of an order."""
    collection, up = f"orders/{order.id}/refunds", f"orders/{order.id}"
    return {
        "id": made.id,
        **both("date_created", made.created, world.zone),
        "amount": made.amount,
        "reason": made.reason,
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": meta_view(made),
        "line_items": [_item(line) for line in made.line_items],
        "shipping_lines": [],
        "tax_lines": [],
        "fee_lines": [],
        "_links": links(world, f"{collection}/{made.id}", collection, up=up, methods=("GET", "DELETE")),
    }


def note_view(world: ShopState, note: Note) -> dict[str, Any]:
    """Return a remark on an order."""
    collection, up = f"orders/{note.order_id}/notes", f"orders/{note.order_id}"
    return {
        "id": note.id,
        "author": "WooCommerce",
        **both("date_created", note.created, world.zone),
        "note": note.text,
        "customer_note": note.to_customer,
        "_links": links(world, f"{collection}/{note.id}", collection, up=up, methods=("GET", "DELETE")),
    }


def _item(line: Mapping[str, Any]) -> dict[str, Any]:
    quantity = line["quantity"]
    # A quotient of floats: 38.85 for 3 pieces is told as 12.950000000000001.
    price = float(line["total"]) / quantity if quantity else 0.0
    return {
        **line,
        "tax_class": "",
        "subtotal_tax": "0.00",
        **_UNTAXED,
        # PHP writes a whole number without its point.
        "price": int(price) if price == int(price) else price,
    }


def _shipping(line: Mapping[str, Any]) -> dict[str, Any]:
    return {**line, "instance_id": "", "tax_status": "taxable", **_UNTAXED}


def _fee(line: Mapping[str, Any]) -> dict[str, Any]:
    return {**line, "tax_class": "", "tax_status": "taxable", "amount": "", **_UNTAXED}


def _short_refund(made: Refund) -> dict[str, Any]:
    return {"id": made.id, "reason": made.reason, "total": f"-{made.amount}", "total_tax": "0.00"}


def _is_shipped(world: ShopState, line: Mapping[str, Any]) -> bool:
    product = world.products.get(line["variation_id"] or line["product_id"])
    return product is not None and not field(product, "virtual")
