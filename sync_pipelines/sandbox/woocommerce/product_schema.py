"""What requests may say of products and variations."""

from __future__ import annotations

from sync_pipelines.sandbox.woocommerce.schema import BOOLEAN, INTEGER, META, NUMBER, TEXT, Kind, objects, one_of, texts

STATUSES = ("draft", "pending", "private", "publish", "future", "auto-draft", "trash")
TYPES = ("simple", "grouped", "external", "variable")

_TERMS = objects({"id": INTEGER})
_IMAGE = {"id": INTEGER, "src": TEXT, "name": TEXT, "alt": TEXT}
_BOTH = {
    "status": one_of(*STATUSES),
    "description": TEXT,
    "sku": TEXT,
    "global_unique_id": TEXT,
    "regular_price": TEXT,
    "sale_price": TEXT,
    "virtual": BOOLEAN,
    "downloadable": BOOLEAN,
    "tax_status": one_of("taxable", "shipping", "none"),
    "tax_class": TEXT,
    "manage_stock": BOOLEAN,
    "stock_quantity": INTEGER,
    "inventory_delta": NUMBER,
    "stock_status": one_of("instock", "outofstock", "onbackorder"),
    "backorders": one_of("no", "notify", "yes"),
    "weight": TEXT,
    "dimensions": Kind("object", members={"length": TEXT, "width": TEXT, "height": TEXT}),
    "shipping_class": TEXT,
    "menu_order": INTEGER,
    "meta_data": META,
}

PRODUCT = {
    "name": TEXT,
    "slug": TEXT,
    "type": one_of(*TYPES),
    "featured": BOOLEAN,
    "catalog_visibility": one_of("visible", "catalog", "search", "hidden"),
    "short_description": TEXT,
    "sold_individually": BOOLEAN,
    "reviews_allowed": BOOLEAN,
    "purchase_note": TEXT,
    "categories": _TERMS,
    "tags": _TERMS,
    "images": objects(_IMAGE),
    "attributes": objects(
        {
            "id": INTEGER,
            "name": TEXT,
            "position": INTEGER,
            "visible": BOOLEAN,
            "variation": BOOLEAN,
            "options": texts(),
        }
    ),
    **_BOTH,
}
VARIATION = {
    "image": Kind("object", members=_IMAGE),
    "attributes": objects({"id": INTEGER, "name": TEXT, "option": TEXT}),
    **_BOTH,
}

KEPT_AS_SENT = (
    "featured",
    "catalog_visibility",
    "virtual",
    "downloadable",
    "tax_status",
    "tax_class",
    "backorders",
    "sold_individually",
    "reviews_allowed",
    "purchase_note",
    "menu_order",
    "shipping_class",
)
"""Fields that are stored without a change."""

DEFAULTS = {
    "name": "",
    "slug": "",
    "description": "",
    "short_description": "",
    "sku": "",
    "global_unique_id": "",
    "regular_price": "",
    "sale_price": "",
    "weight": "",
    "length": "",
    "width": "",
    "height": "",
    "featured": False,
    "catalog_visibility": "visible",
    "virtual": False,
    "downloadable": False,
    "tax_status": "taxable",
    "tax_class": "",
    "manage_stock": False,
    "stock_quantity": None,
    "stock_status": "instock",
    "backorders": "no",
    "sold_individually": False,
    "reviews_allowed": True,
    "purchase_note": "",
    "menu_order": 0,
    "shipping_class": "",
    "total_sales": 0,
    "categories": [],
    "tags": [],
    "images": [],
    "attributes": [],
}
"""What a product has that says nothing; only what differs is kept."""
