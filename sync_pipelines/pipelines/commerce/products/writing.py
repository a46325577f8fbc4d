"""What is sent to either system so that it shows a product's content. Pure."""

from __future__ import annotations

import html
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.commerce.products.mapping import Kind, ProductSettings
from sync_pipelines.pipelines.commerce.values import weight

_ARTICLE_COLUMNS = {"sku": "default_code", "gtin": "barcode"}


def shop_values(content: Content, fields: Collection[str], status: str, settings: ProductSettings) -> dict[str, Any]:
    """Return the values that bring some fields of a product of the shop to a content.

    To go to the trash takes another request; to come back from it takes no more than a status.

    Arguments:
        content: the whole content that is wanted.
        status: of the product now; empty for one that is to be made.
    """
    values: dict[str, Any] = {}
    for name, column in (("sku", "sku"), ("gtin", "global_unique_id")):
        if name in fields:
            values[column] = content[name] or ""
    if "price" in fields:
        values["regular_price"] = _with_places(content["price"], settings.price_digits)
    if "weight" in fields:
        values["weight"] = weight(content["weight"], settings.odoo_weight_unit, settings.shop_weight_unit)
    if "name" in fields:
        # The shop takes out what looks like a tag.
        values["name"] = (content["name"] or "").replace("<", "&lt;")
    if "description" in fields:
        values["short_description"] = html.escape(content["description"] or "", quote=False)
    if "stock_kept" in fields:
        values["manage_stock"] = content["stock_kept"]
    wanted = _status(content, fields, status)
    if wanted and wanted != status:
        values["status"] = wanted
    return values


def odoo_values(content: Content, fields: Collection[str], settings: ProductSettings) -> dict[str, Any]:
    """Return the values that bring some fields of a variant, or of a template, to a content.

    ``active`` of a simple product is its template's, and the price of a variation no field of its own: neither is here.

    Arguments:
        content: the whole content that is wanted.
    """
    values: dict[str, Any] = {
        column: content[name] or False for name, column in _ARTICLE_COLUMNS.items() if name in fields
    }
    if "price" in fields and content["kind"] == Kind.SIMPLE:
        values["list_price"] = content["price"] or Decimal(0)
    if "weight" in fields:
        values["weight"] = content["weight"] or Decimal(0)
    if "name" in fields:
        values["name"] = content["name"] or content.get("sku")
    if "description" in fields:
        values["description_sale"] = content["description"] or False
    if "for_sale" in fields:
        values["sale_ok"] = content["for_sale"]
    if "stock_kept" in fields:
        values["is_storable"] = content["stock_kept"]
    if "active" in fields and content["kind"] != Kind.SIMPLE:
        values["active"] = content["active"]
    return values


def _with_places(amount: Decimal | int | None, digits: int) -> Decimal | None:
    # What was merged comes back from JSON, where 40.00 is 40.
    return None if amount is None else Decimal(amount).quantize(Decimal(1).scaleb(-digits))


def _status(content: Content, fields: Collection[str], status: str) -> str | None:
    """Return the status that a product is to have, ``None`` for the one it has."""
    if content["kind"] == Kind.VARIATION:
        return ("publish" if content["active"] else "private") if "active" in fields else None
    if not {"for_sale", "active"} & set(fields) or not content["active"]:
        return None
    if content["for_sale"]:
        return "publish"
    # Private, pending and scheduled products are not for sale either: they stay what they are.
    return "draft" if status in ("", "publish", "trash") else None
