"""What happens to products and variations, whoever asks for it: the API, the staff, or an order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_pipelines.sandbox.woocommerce.attributes import product_attributes, variation_attributes
from sync_pipelines.sandbox.woocommerce.cleaning import cleaned_html, cleaned_number, decimal_of, slug_of, stripped
from sync_pipelines.sandbox.woocommerce.errors import ApiError, with_details
from sync_pipelines.sandbox.woocommerce.model import Meta, Product
from sync_pipelines.sandbox.woocommerce.product_schema import DEFAULTS, KEPT_AS_SENT, STATUSES, TYPES
from sync_pipelines.sandbox.woocommerce.state import DEFAULT_CATEGORY, ShopState
from sync_pipelines.sandbox.woocommerce.times import given_moment

_PLACES = ("length", "width", "height")


def field(product: Product, name: str) -> Any:
    """Return a stored field."""
    return product.values.get(name, DEFAULTS[name])


def _put(product: Product, name: str, value: Any) -> None:
    if value == DEFAULTS[name]:
        product.values.pop(name, None)
    else:
        product.values[name] = value


def create(world: ShopState, values: Mapping[str, Any], parent: Product | None = None) -> Product:
    """Make a product, or a variation of one, from parameters that were checked or loosened.

    Raises:
        ApiError: 400 when its code or GTIN is taken.
    """
    _claim_gtin(world, values, 0)
    _claim_sku(world, values, 0)
    kind = values.get("type", "simple")
    product = Product(
        id=world.next_number("post"),
        type="variation" if parent else kind if kind in TYPES else "simple",
        parent=parent.id if parent else 0,
        created=world.now(),
    )
    if parent is None:
        _put(product, "name", "Product")
        product.values["categories"] = [DEFAULT_CATEGORY]
    _apply(world, product, values, parent)
    world.products[product.id] = product
    if parent is not None:
        parent.variations.append(product.id)
        world.touch(parent)
    world.announce("product", "created", product.id)
    return product


def update(world: ShopState, product: Product, values: Mapping[str, Any]) -> Product:
    """Change a product or variation; its time moves whatever is asked for, and so does its parent's.

    Raises:
        ApiError: 400 when its new code or GTIN is taken.
    """
    _claim_gtin(world, values, product.id)
    _claim_sku(world, values, product.id)
    parent = world.products.get(product.parent)
    if product.type in TYPES and values.get("type") in TYPES:
        product.type = values["type"]
    _apply(world, product, values, parent)
    if parent is not None:
        if product.status != "trash" and product.id not in parent.variations:
            parent.variations = sorted([*parent.variations, product.id])
        world.touch(parent)
    world.announce("product", "updated", product.id)
    return product


def trash(world: ShopState, product: Product) -> None:
    """Put a product or variation into the trash, where it keeps its code."""
    product.meta.append(Meta(world.next_number("meta"), "_wp_trash_meta_status", product.status))
    product.meta.append(Meta(world.next_number("meta"), "_wp_trash_meta_time", str(world.now())))
    product.status = "trash"
    world.touch(product)
    _leave_parent(world, product)
    world.announce("product", "deleted", product.id)


def remove(world: ShopState, product: Product) -> None:
    """Delete a product for good, with its variations."""
    if product.type == "variable":
        for child in [other for other in world.products.values() if other.parent == product.id]:
            remove(world, child)
    world.skus.remove(field(product, "sku"), product.id)
    world.gtins.remove(field(product, "global_unique_id"), product.id)
    world.slugs.remove(field(product, "slug"), product.id)
    del world.products[product.id]
    world.forget_texts(product)
    _leave_parent(world, product)
    if product.status != "trash":
        world.announce("product", "deleted", product.id)


def change_stock(world: ShopState, product: Product, by: int) -> None:
    """Add to the stock, or take from it, as an order does; the product's time moves (recorded)."""
    _put(product, "stock_quantity", int(field(product, "stock_quantity") or 0) + by)
    _settle_stock(product)
    world.touch(product)
    parent = world.products.get(product.parent)
    if parent is not None:
        world.touch(parent)
    world.announce("product", "updated", product.id)


def stock_keeper(world: ShopState, product: Product) -> Product | None:
    """Return who counts the pieces of a product: itself, its parent, or nobody."""
    if field(product, "manage_stock"):
        return product
    parent = world.products.get(product.parent)
    return parent if parent is not None and field(parent, "manage_stock") else None


def _leave_parent(world: ShopState, product: Product) -> None:
    parent = world.products.get(product.parent)
    if parent is not None and product.id in parent.variations:
        parent.variations.remove(product.id)
        world.touch(parent)


def _claim_sku(world: ShopState, values: Mapping[str, Any], number: int) -> None:
    sku = stripped(values.get("sku", ""))
    others = [world.products[other] for other in world.skus.find(sku) if other != number]
    live = [other.id for other in others if other.status != "trash"]
    if live:
        free = world.skus.free(sku, 1)
        message = "Invalid or duplicated SKU."
        raise with_details(400, "product_invalid_sku", message, resource_id=live[0], unique_sku=free)
    if number == 0 and (others or sku.lower() in {held.lower() for held in world.held_skus}):
        # The row is written and taken back: the number is spent.
        world.next_number("post")
        message = f"The product with SKU ({sku}) you are trying to insert is already present in the lookup table"
        raise ApiError(400, "woocommerce_rest_product_not_created", message)


def _claim_gtin(world: ShopState, values: Mapping[str, Any], number: int) -> None:
    for other in world.gtins.find(_gtin(values.get("global_unique_id", ""))):
        if other != number and world.products[other].status != "trash":
            message = "Invalid or duplicated GTIN, UPC, EAN or ISBN."
            raise with_details(400, "product_invalid_global_unique_id", message, resource_id=other)


def _gtin(text: str) -> str:
    return re.sub(r"[^0-9-]", "", text)


def _apply(world: ShopState, product: Product, values: Mapping[str, Any], parent: Product | None) -> None:
    for name in KEPT_AS_SENT:
        if name in values:
            _put(product, name, values[name])
    for name in ("description", "short_description"):
        if name in values:
            _put(product, name, cleaned_html(values[name]))
    if values.get("name") and parent is None:
        _put(product, "name", cleaned_html(values["name"]).strip())
    if "sku" in values:
        sku = stripped(values["sku"])
        world.skus.move(field(product, "sku"), sku, product.id)
        _put(product, "sku", sku)
    if "global_unique_id" in values:
        gtin = _gtin(values["global_unique_id"])
        world.gtins.move(field(product, "global_unique_id"), gtin, product.id)
        _put(product, "global_unique_id", gtin)
    _apply_numbers(product, values)
    _apply_stock(product, values)
    _apply_terms(world, product, values)
    if "attributes" in values:
        shared = world.attributes, world.terms.values()
        rows = values["attributes"]
        wanted = variation_attributes(rows, parent, *shared) if parent else product_attributes(rows, *shared)
        _put(product, "attributes", wanted)
    product.created = given_moment(dict(values), "date_created", world.zone) or product.created
    _apply_status(world, product, values, is_variation=parent is not None)
    world.set_meta(product, values.get("meta_data", ()))
    world.touch(product)


def _apply_status(world: ShopState, product: Product, values: Mapping[str, Any], *, is_variation: bool) -> None:
    if "status" in values:
        wanted = values["status"] if values["status"] in STATUSES else "draft"
        due = wanted == "future" and product.created <= world.now()
        product.status = "publish" if due else wanted
    if is_variation:
        return
    slug = field(product, "slug")
    if values.get("slug"):
        wanted_slug = slug_of(values["slug"])
    elif not slug and product.status not in ("draft", "pending", "auto-draft"):
        wanted_slug = slug_of(field(product, "name")) or str(product.id)
    else:
        return
    if wanted_slug != slug:
        world.slugs.remove(slug, product.id)
        _put(product, "slug", world.slugs.free(wanted_slug, 2))
        world.slugs.add(field(product, "slug"), product.id)


def _apply_numbers(product: Product, values: Mapping[str, Any]) -> None:
    for name in ("regular_price", "sale_price", "weight"):
        if name in values:
            _put(product, name, cleaned_number(values[name]))
    for name, value in values.get("dimensions", {}).items():
        if name in _PLACES:
            _put(product, name, cleaned_number(value))
    if product.type == "variable":
        product.values.pop("regular_price", None)
        product.values.pop("sale_price", None)
    regular, sale = field(product, "regular_price"), field(product, "sale_price")
    if sale and decimal_of(sale) >= decimal_of(regular):
        _put(product, "sale_price", "")


def _apply_stock(product: Product, values: Mapping[str, Any]) -> None:
    if "manage_stock" in values:
        _put(product, "manage_stock", bool(values["manage_stock"]))
    if "stock_status" in values and values["stock_status"] in ("instock", "outofstock", "onbackorder"):
        _put(product, "stock_status", values["stock_status"])
    if field(product, "manage_stock"):
        if values.get("stock_quantity") is not None:
            _put(product, "stock_quantity", int(values["stock_quantity"]))
        elif values.get("inventory_delta"):
            _put(product, "stock_quantity", int(field(product, "stock_quantity") or 0) + int(values["inventory_delta"]))
        elif field(product, "stock_quantity") is None:
            _put(product, "stock_quantity", 0)
        _settle_stock(product)
    else:
        _put(product, "stock_quantity", None)
        _put(product, "backorders", "no")


def _settle_stock(product: Product) -> None:
    if field(product, "stock_quantity") > 0:
        _put(product, "stock_status", "instock")
    else:
        _put(product, "stock_status", "outofstock" if field(product, "backorders") == "no" else "onbackorder")


def _apply_terms(world: ShopState, product: Product, values: Mapping[str, Any]) -> None:
    if "categories" in values:
        numbers = [row.get("id") for row in values["categories"]]
        known = [number for number in numbers if number in world.terms and not world.terms[number].attribute]
        product.values["categories"] = known or [DEFAULT_CATEGORY]
    for name in ("tags", "images"):
        if name in values:
            _put(product, name, [dict(row) for row in values[name]])
