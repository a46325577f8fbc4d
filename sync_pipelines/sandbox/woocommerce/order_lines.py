"""The lines of orders: products, shipping, fees and coupons.

A line that comes without its number is a new one, also in a change: the same change sent twice adds it twice.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import decimal_of
from sync_pipelines.sandbox.woocommerce.errors import ApiError, PhpCrash
from sync_pipelines.sandbox.woocommerce.model import Coupon, Order, Product
from sync_pipelines.sandbox.woocommerce.product_view import current_price, full_name
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines.sandbox.woocommerce.schema import INTEGER, META, TEXT, Schema, objects
from sync_pipelines.sandbox.woocommerce.state import ShopState

_CENT = Decimal("0.01")
_SHARED: Schema = {"id": INTEGER, "total": TEXT, "meta_data": META}
LINES: Schema = {
    "line_items": objects(
        {
            **_SHARED,
            "name": TEXT,
            "product_id": INTEGER,
            "variation_id": INTEGER,
            "quantity": INTEGER,
            "subtotal": TEXT,
            "sku": TEXT,
        }
    ),
    "shipping_lines": objects({**_SHARED, "method_title": TEXT, "method_id": TEXT}),
    "fee_lines": objects({**_SHARED, "name": TEXT}),
    "coupon_lines": objects({"id": INTEGER, "code": TEXT, "meta_data": META}),
}
_NAMED = ("product_id", "method_id", "method_title", "name", "code")


def money(amount: Decimal) -> str:
    """Return an amount with two places."""
    return str(amount.quantize(_CENT, ROUND_HALF_UP))


def change_lines(world: ShopState, order: Order, values: Mapping[str, Any]) -> None:
    """Add, change and remove lines as a request says.

    Raises:
        ApiError: 400 for a line without a product, with a number of another order, or with an unknown coupon.
        PhpCrash: a new line with quantity 0 (recorded).
    """
    for kind in LINES:
        for row in values.get(kind, ()):
            _change_line(world, order, kind, row)


def _change_line(world: ShopState, order: Order, kind: str, row: Mapping[str, Any]) -> None:
    lines = order.lines.setdefault(kind, [])
    number = row.get("id") or 0
    known = next((line for line in lines if line["id"] == number), None)
    if number and known is None:
        message = "Order item ID provided is not associated with order."
        raise ApiError(400, "woocommerce_rest_invalid_item_id", message)
    is_removed = any(name in row and row[name] is None for name in _NAMED)
    if kind == "line_items" and row.get("quantity") == 0:
        is_removed = True
    if is_removed and known is None:
        raise PhpCrash(
            "WC_REST_Orders_Controller::remove_item(): Argument #3 ($item_id) must be of type int, null given"
        )
    if is_removed:
        order.lines[kind] = [line for line in lines if line is not known]
    elif kind == "line_items":
        _set_product_line(world, lines, known, row)
    elif kind == "coupon_lines":
        _set_coupon(world, order, known, row)
    else:
        _set_cost_line(world, kind, lines, known, row)


def _set_product_line(
    world: ShopState, lines: list[dict[str, Any]], known: dict[str, Any] | None, row: Mapping[str, Any]
) -> None:
    if known is None and not row.get("product_id") and not row.get("variation_id") and not row.get("sku"):
        raise ApiError(400, "woocommerce_rest_required_product_reference", "Product ID or SKU is required.")
    line = known if known is not None else _new_product_line(world, row)
    if known is None:
        lines.append(line)
    else:
        line["quantity"] = line["quantity"] if row.get("quantity") is None else row["quantity"]
    for name in ("subtotal", "total"):
        if name in row:
            line[name] = money(decimal_of(row[name]))
    if row.get("name") and line["product_id"]:
        line["name"] = row["name"]
    add_meta(world, line, row.get("meta_data", ()))


def _new_product_line(world: ShopState, row: Mapping[str, Any]) -> dict[str, Any]:
    quantity = 1 if row.get("quantity") is None else row["quantity"]
    product = _meant_product(world, row)
    amount = decimal_of(current_price(world, product)) * quantity if product else Decimal(0)
    is_variation = product is not None and product.type == "variation"
    line: dict[str, Any] = {
        "id": world.next_number("item"),
        # The name comes unescaped here, unlike that of the product itself.
        "name": html.unescape(full_name(world, product)) if product else "",
        "product_id": (product.parent if is_variation else product.id) if product else 0,
        "variation_id": product.id if product and is_variation else 0,
        "quantity": quantity,
        "subtotal": money(amount),
        "total": money(amount),
        "meta_data": [],
        "sku": field(product, "sku") if product else None,
        "global_unique_id": field(product, "global_unique_id") if product else None,
        "image": {"id": "" if product and not is_variation else 0, "src": ""},
        "parent_name": html.unescape(field(world.products[product.parent], "name"))
        if product and is_variation
        else None,
    }
    if product is not None and is_variation:
        add_meta(world, line, [{"key": it["slug"], "value": it["option"]} for it in field(product, "attributes")])
        for meta, attribute in zip(line["meta_data"], field(product, "attributes"), strict=True):
            meta["display_key"] = attribute["name"]
    return line


def _meant_product(world: ShopState, row: Mapping[str, Any]) -> Product | None:
    """Return the product of a new line; an unknown one makes an empty line instead of an error (recorded)."""
    number = row.get("variation_id") or row.get("product_id")
    if not number:
        found = [it for it in world.skus.find(str(row["sku"])) if world.products[it].status != "trash"]
        number = found[0] if found else 0
    return world.products.get(int(number))


def _set_cost_line(
    world: ShopState, kind: str, lines: list[dict[str, Any]], known: dict[str, Any] | None, row: Mapping[str, Any]
) -> None:
    line = known
    if line is None:
        line = {"id": world.next_number("item"), "total": "0.00", "meta_data": []}
        line |= {"method_title": "", "method_id": ""} if kind == "shipping_lines" else {"name": ""}
        lines.append(line)
    if "total" in row:
        line["total"] = money(decimal_of(row["total"]))
    line |= {name: row[name] for name in ("method_title", "method_id", "name") if name in row and name in line}
    add_meta(world, line, row.get("meta_data", ()))


def _set_coupon(world: ShopState, order: Order, known: dict[str, Any] | None, row: Mapping[str, Any]) -> None:
    code = str(row.get("code", "")).lower()
    coupon = next((it for it in world.coupons.values() if it.code == code), None)
    if known is not None or any(line["code"] == code for line in order.lines["coupon_lines"]):
        return
    if coupon is None:
        raise ApiError(400, "woocommerce_rest_invalid_coupon", f'Coupon "{code}" does not exist!')
    discount = sum((_reduce(coupon, line, order) for line in order.lines.get("line_items", ())), Decimal(0))
    amount = float(coupon.amount)
    line = {
        "id": world.next_number("item"),
        "code": code,
        "discount": money(discount),
        "meta_data": [],
        "discount_type": coupon.discount_type,
        "nominal_amount": int(amount) if amount == int(amount) else amount,
    }
    info = f'[{coupon.id},"{code}","{coupon.discount_type}",{line["nominal_amount"]}]'
    add_meta(world, line, [{"key": "coupon_info", "value": info}])
    order.lines["coupon_lines"].append(line)


def _reduce(coupon: Coupon, line: dict[str, Any], order: Order) -> Decimal:
    before, amount = decimal_of(line["total"]), decimal_of(coupon.amount)
    if coupon.discount_type == "percent":
        off = before * amount / 100
    elif coupon.discount_type == "fixed_product":
        off = amount * line["quantity"]
    else:
        total = sum(decimal_of(other["subtotal"]) for other in order.lines["line_items"])
        off = amount * decimal_of(line["subtotal"]) / total if total else Decimal(0)
    off = min(before, off).quantize(_CENT, ROUND_HALF_UP)
    line["total"] = money(before - off)
    return off


def add_meta(world: ShopState, line: dict[str, Any], rows: Any) -> None:
    """Set or remove named values of a line."""
    for row in rows:
        key, value = row.get("key"), row.get("value")
        rest = [meta for meta in line["meta_data"] if meta["key"] != key]
        if value is not None:
            number = world.next_number("meta")
            rest.append({"id": number, "key": key, "value": value, "display_key": key, "display_value": value})
        line["meta_data"] = rest
