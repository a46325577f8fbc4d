"""Which products and variations a list shows, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import decimal_of
from sync_pipelines.sandbox.woocommerce.listing import COMMON, WINDOWS, chosen, ordered, within
from sync_pipelines.sandbox.woocommerce.model import Product
from sync_pipelines.sandbox.woocommerce.product_schema import TYPES
from sync_pipelines.sandbox.woocommerce.product_view import current_price
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines.sandbox.woocommerce.schema import BOOLEAN, INTEGER, INTEGERS, TEXT, Schema, one_of, texts
from sync_pipelines.sandbox.woocommerce.state import ShopState

_STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
# As the shop itself tells them, repetitions included.
_ORDERS = """
date id include title slug modified popularity rating post__in price sales menu_order random popularity rating
menu_order price popularity rating
"""
_FIND_VARIATIONS = ("sku", "search_sku", "search_name_or_sku", "global_unique_id")

PRODUCTS: Schema = {
    **COMMON,
    **WINDOWS,
    "orderby": one_of(*_ORDERS.split()),
    "status": one_of(*_STATUSES),
    "include_status": texts(*_STATUSES),
    "exclude_status": texts(*_STATUSES),
    "type": one_of(*TYPES),
    "sku": TEXT,
    "search_sku": TEXT,
    "search_name_or_sku": TEXT,
    "global_unique_id": TEXT,
    "slug": TEXT,
    "parent": INTEGERS,
    "featured": BOOLEAN,
    "category": TEXT,
    "stock_status": one_of("instock", "outofstock", "onbackorder"),
    "on_sale": BOOLEAN,
    "min_price": TEXT,
    "max_price": TEXT,
    "product": INTEGER,
}

_KEYS: Mapping[str, Callable[[Product], Any]] = {
    "date": lambda product: product.created,
    "modified": lambda product: product.modified,
    "id": lambda product: product.id,
    "title": lambda product: str(field(product, "name")).lower(),
    "slug": lambda product: field(product, "slug"),
    "price": lambda product: decimal_of(field(product, "sale_price") or field(product, "regular_price")),
    "menu_order": lambda product: field(product, "menu_order"),
}


def products_found(world: ShopState, told: Mapping[str, Any]) -> list[Product]:
    """Return the products of ``/products``: variations only show when a code or GTIN is looked for."""
    finds_variations = any(told.get(name) for name in _FIND_VARIATIONS)
    if told.get("sku") and told["sku"] != "0":
        # The code "0" counts as none, and everything is found (recorded).
        rows = chosen(told, _with_code(world, told["sku"]))
    else:
        rows = chosen(told, world.products)
    if not finds_variations:
        rows = [product for product in rows if not product.parent]
    return _sifted(world, told, rows)


def variations_found(world: ShopState, told: Mapping[str, Any], parent: int | None) -> list[Product]:
    """Return the variations of one product, or of all; an unknown product has none."""
    records = _with_code(world, told["sku"]) if told.get("sku") else world.products
    rows = [product for product in chosen(told, records) if product.parent]
    if parent is not None:
        rows = [product for product in rows if product.parent == parent]
    return _sifted(world, told, rows)


def _with_code(world: ShopState, codes: str) -> dict[int, Product]:
    numbers = sorted({number for sku in codes.split(",") for number in world.skus.find(sku.strip())})
    return {number: world.products[number] for number in numbers}


def _sifted(world: ShopState, told: Mapping[str, Any], rows: Sequence[Product]) -> list[Product]:
    found = [product for product in rows if _has_status(product, told)]
    for name, passes in _filters(world).items():
        if told.get(name) not in (None, "", []):
            found = [product for product in found if passes(product, told[name])]
    order = told.get("orderby", "date")
    if order == "include" and told.get("include"):
        place = {number: index for index, number in enumerate(told["include"])}
        return sorted(found, key=lambda product: place[product.id])
    key = _KEYS.get(order, _KEYS["date"])
    return ordered(within(world, told, found), key, told, "desc")


def _has_status(product: Product, told: Mapping[str, Any]) -> bool:
    wanted = told.get("include_status") or [told.get("status", "any")]
    excluded = told.get("exclude_status", ())
    if product.status in excluded:
        return False
    return product.status in wanted or ("any" in wanted and product.status not in ("trash", "auto-draft"))


def _filters(world: ShopState) -> Mapping[str, Callable[[Product, Any], bool]]:
    return {
        "type": lambda product, kind: product.type == kind,
        "slug": lambda product, slug: bool(field(product, "slug") == slug),
        "parent": lambda product, numbers: product.parent in numbers,
        "search": lambda product, text: _mentions(text, field(product, "name"), field(product, "description")),
        "search_sku": lambda product, text: _mentions(text, field(product, "sku")),
        "search_name_or_sku": lambda product, text: _mentions(text, field(product, "name"), field(product, "sku")),
        "global_unique_id": lambda product, text: bool(field(product, "global_unique_id") == text),
        "featured": lambda product, wanted: bool(field(product, "featured") is wanted),
        "category": lambda product, text: text in map(str, field(product, "categories")),
        "stock_status": lambda product, text: bool(field(product, "stock_status") == text),
        "on_sale": lambda product, wanted: bool(field(product, "sale_price")) is wanted,
        "min_price": lambda product, text: decimal_of(current_price(world, product)) >= decimal_of(text),
        "max_price": lambda product, text: decimal_of(current_price(world, product)) <= decimal_of(text),
    }


def _mentions(text: str, *places: str) -> bool:
    return any(text.lower() in place.lower() for place in places)
