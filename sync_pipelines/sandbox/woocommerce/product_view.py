"""Products and variations as the API tells them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from sync_pipelines.sandbox.woocommerce.cleaning import (
    amount_html,
    decimal_of,
    paragraphs,
    range_html,
    sale_html,
    slug_of,
)
from sync_pipelines.sandbox.woocommerce.links import links
from sync_pipelines.sandbox.woocommerce.model import Product
from sync_pipelines.sandbox.woocommerce.products import field, stock_keeper
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import both

_UNPUBLISHED = ("draft", "pending", "auto-draft", "future")


def product_view(world: ShopState, product: Product, context: str) -> dict[str, Any]:
    """Return a product, or a variation, in the shape of ``/products``.

    Related products, which the shop draws by lot, are always told as none.
    """
    edit = context == "edit"
    price, on_sale = _price(world, product)
    slug, link = field(product, "slug"), permalink(world, product)
    view = {
        "id": product.id,
        "name": full_name(world, product),
        "slug": slug,
        "permalink": link,
        **both("date_created", product.created, world.zone),
        **both("date_modified", product.modified, world.zone),
        "type": product.type,
        "status": product.status,
        **_same(product, "featured", "catalog_visibility"),
        **{name: _prose(product, name, edit) for name in ("description", "short_description")},
        **_same(product, "sku", "regular_price", "sale_price", "total_sales", "virtual", "downloadable"),
        "price": price,
        **_sale_dates(),
        "on_sale": on_sale,
        "purchasable": price != "",
        **_downloads(),
        "external_url": "",
        "button_text": "",
        **_same(product, "tax_status", "tax_class"),
        **_stock(world, product),
        **_same(product, "sold_individually", "weight", "shipping_class", "reviews_allowed", "purchase_note"),
        "dimensions": {name: field(product, name) for name in ("length", "width", "height")},
        "shipping_required": not field(product, "virtual"),
        "shipping_taxable": not field(product, "virtual"),
        "shipping_class_id": 0,
        "average_rating": "0" if edit else "0.00",
        "rating_count": 0,
        "upsell_ids": [],
        "cross_sell_ids": [],
        "parent_id": product.parent,
        "categories": [_category(world, number) for number in field(product, "categories")],
        "brands": [],
        **_same(product, "tags", "images", "attributes", "menu_order", "global_unique_id"),
        "default_attributes": [],
        "variations": list(product.variations),
        "grouped_products": [],
        "price_html": _price_html(world, product, price, on_sale),
        "related_ids": [],
        "meta_data": meta_view(product),
        "has_options": product.type == "variable",
        "post_password": "",
        "_links": _product_links(world, product),
    }
    if edit:
        view["permalink_template"] = f"{world.site_url}/product/%pagename%/"
        view["generated_slug"] = slug or slug_of(field(product, "name"))
    return view


def variation_view(world: ShopState, product: Product, context: str) -> dict[str, Any]:
    """Return a variation in the shape of ``/products/ID/variations``."""
    edit = context == "edit"
    price, on_sale = _price(world, product)
    image = field(product, "images")
    tax_class = field(product, "tax_class") or ("parent" if edit else "")
    return {
        "id": product.id,
        "type": "variation",
        **both("date_created", product.created, world.zone),
        **both("date_modified", product.modified, world.zone),
        "description": _prose(product, "description", edit),
        "permalink": permalink(world, product),
        **_same(product, "sku", "global_unique_id", "regular_price", "sale_price", "virtual", "downloadable"),
        "price": price,
        **_sale_dates(),
        "on_sale": on_sale,
        "status": product.status,
        "purchasable": price != "",
        **_downloads(),
        "tax_status": field(product, "tax_status"),
        "tax_class": tax_class,
        **_stock(world, product),
        **_same(product, "weight", "shipping_class", "attributes", "menu_order"),
        "dimensions": {name: field(product, name) for name in ("length", "width", "height")},
        "shipping_class_id": 0,
        "image": image[0] if image else None,
        "gallery_image_ids": [],
        "meta_data": meta_view(product),
        "name": _choice(product),
        "parent_id": product.parent,
        "_links": _variation_links(world, product),
    }


def meta_view(record: Any) -> list[dict[str, Any]]:
    """Return the named values of a record."""
    return [{"id": meta.id, "key": meta.key, "value": meta.value} for meta in record.meta]


def full_name(world: ShopState, product: Product) -> str:
    """Return the name of a product; a variation's is that of its parent with what it chooses."""
    parent = world.products.get(product.parent)
    if parent is None:
        return str(field(product, "name"))
    choice = _choice(product)
    return f"{field(parent, 'name')} - {choice}" if choice else str(field(parent, "name"))


def current_price(world: ShopState, product: Product) -> str:
    """Return what one piece costs now, "" for a product that is not for sale."""
    return _price(world, product)[0]


def permalink(world: ShopState, product: Product) -> str:
    """Return the address of a product in the shop."""
    parent = world.products.get(product.parent)
    if parent is not None:
        chosen = "&".join(
            f"attribute_{row['slug']}={quote_plus(row['option'])}" for row in field(product, "attributes")
        )
        return permalink(world, parent) + (f"?{chosen}" if chosen else "")
    if product.status in _UNPUBLISHED or not field(product, "slug"):
        return f"{world.site_url}/?post_type=product&p={product.id}"
    return f"{world.site_url}/product/{field(product, 'slug')}/"


def _same(product: Product, *names: str) -> dict[str, Any]:
    return {name: field(product, name) for name in names}


def _prose(product: Product, name: str, edit: bool) -> str:
    text = str(field(product, name))
    return text if edit else paragraphs(text)


def _sale_dates() -> dict[str, None]:
    return dict.fromkeys(("date_on_sale_from", "date_on_sale_from_gmt", "date_on_sale_to", "date_on_sale_to_gmt"))


def _downloads() -> dict[str, Any]:
    return {"downloads": [], "download_limit": -1, "download_expiry": -1}


def _children(world: ShopState, product: Product) -> list[Product]:
    return [world.products[number] for number in product.variations if world.products[number].status == "publish"]


def _price(world: ShopState, product: Product) -> tuple[str, bool]:
    if product.type == "variable":
        prices = [_price(world, child) for child in _children(world, product)]
        told = [price for price, _ in prices if price]
        return min(told, key=decimal_of, default=""), any(on_sale for _, on_sale in prices)
    regular, sale = field(product, "regular_price"), field(product, "sale_price")
    return (sale, True) if sale else (regular, False)


def _price_html(world: ShopState, product: Product, price: str, on_sale: bool) -> str:
    if not price:
        return ""
    if product.type == "variable":
        prices = [decimal_of(told) for child in _children(world, product) if (told := _price(world, child)[0])]
        return range_html(min(prices), max(prices))
    if on_sale:
        return sale_html(decimal_of(field(product, "regular_price")), decimal_of(price))
    return amount_html(Decimal(decimal_of(price)))


def _stock(world: ShopState, product: Product) -> dict[str, Any]:
    keeper = stock_keeper(world, product)
    counted = keeper or product
    status = field(counted, "stock_status")
    if product.type == "variable" and keeper is None:
        states = {_stock(world, child)["stock_status"] for child in _children(world, product)}
        status = next((it for it in ("instock", "onbackorder") if it in states), "outofstock")
    manages = field(product, "manage_stock") or (keeper is not None and "parent")
    backorders = field(counted, "backorders")
    return {
        "manage_stock": manages,
        "stock_quantity": field(counted, "stock_quantity"),
        "stock_status": status,
        "backorders": backorders,
        "backorders_allowed": backorders != "no",
        "backordered": status == "onbackorder",
        "low_stock_amount": None,
    }


def _choice(product: Product) -> str:
    return ", ".join(row["option"] for row in field(product, "attributes")) if product.parent else ""


def _category(world: ShopState, number: int) -> dict[str, Any]:
    term = world.terms[number]
    return {"id": number, "name": term.name, "slug": term.slug}


def _product_links(world: ShopState, product: Product) -> dict[str, Any]:
    up = f"products/{product.parent}" if product.parent else None
    return links(world, f"products/{product.id}", "products", up=up)


def _variation_links(world: ShopState, product: Product) -> dict[str, Any]:
    collection = f"products/{product.parent}/variations"
    path, up = f"{collection}/{product.id}", f"products/{product.parent}"
    return links(world, path, collection, up=up, exists=product.id in world.products)
