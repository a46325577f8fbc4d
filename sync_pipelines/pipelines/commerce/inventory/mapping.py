"""Stock of either side as records that compare: natural key is the SKU, content is a whole number of pieces.

Stock never makes or removes a product: what has no stock to compare is withheld, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal

from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.systems.odoo import StockCount
from sync_pipelines.systems.woocommerce import Article, ManagesStock

NEVER_NEGATIVE = "the shop has sold more than there is; a count below nothing cannot be entered in Odoo"

Quantity = Literal["available", "free"]


@dataclass(frozen=True, slots=True)
class StockSettings:
    """What is compared with the stock of the shop.

    Attributes:
        location_id: ``stock.location`` whose stock the shop sells, with what lies below it; counts are entered there.
        quantity: ``available`` is what lies there, ``free`` is that without what is reserved for confirmed orders.
            The shop takes an order from its stock at once, Odoo from ``available`` at the delivery.
    """

    location_id: int
    quantity: Quantity = "available"


@dataclass(frozen=True, slots=True)
class Stocked:
    """A variant of Odoo with its stock.

    Attributes:
        available, free: pieces at the location, and those of them that are not reserved.
    """

    id: int
    code: str
    active: bool
    is_storable: bool
    available: Decimal
    free: Decimal


def stock_of_woo(article: Article) -> Record | None:
    """Return the stock of a product or a variation, ``None`` for one without a SKU.

    Keys are those of the products: ``12``, and ``12/34`` for a variation.
    """
    if not code_key(article.sku):
        return None
    content: Content = {}
    invalid = None
    withheld = _not_kept(article)
    if withheld is None:
        quantity = article.stock_quantity
        if quantity is None:
            invalid = "the shop manages its stock and tells none; enter a quantity there"
        else:
            content = {"quantity": _whole(quantity)}
    return Record(
        key=f"{article.parent_id}/{article.id}" if article.parent_id else str(article.id),
        natural_key=code_key(article.sku),
        content=content,
        withheld=withheld,
        invalid=invalid,
    )


def _not_kept(article: Article) -> str | None:
    if article.manage_stock is ManagesStock.PARENT:
        return "the shop keeps one stock for all variations of its product; let each variation keep its own"
    if article.manage_stock is ManagesStock.NO:
        return "the shop keeps no stock of it"
    if article.type == "variable":
        return "the shop keeps one stock for all variations of it; let each variation keep its own"
    return None


def stock_of_odoo(row: Stocked, linked: Linked, settings: StockSettings) -> Record | None:
    """Return the stock of a variant, ``None`` for one without a code that is not linked either."""
    code = linked.sku_of(row.id) or row.code
    if not code_key(code):
        return None
    withheld = None
    if not row.is_storable:
        withheld = "Odoo keeps no stock of it"
    elif not row.active:
        withheld = "it is archived in Odoo"
    quantity = row.free if settings.quantity == "free" else row.available
    return Record(
        key=str(row.id),
        natural_key=code_key(code),
        content={} if withheld else {"quantity": _whole(quantity)},
        meta={"reserved": row.available - row.free},
        withheld=withheld,
    )


def _whole(quantity: Decimal) -> Decimal:
    # Down, never up: half a meter too little on sale disappoints nobody.
    return quantity.to_integral_value(ROUND_FLOOR) + 0


def woo_values(content: Content) -> dict[str, Any]:
    """Return what to write to a product or a variation of the shop."""
    return {"stock_quantity": _whole(Decimal(content["quantity"]))}


def stock_count(current: Record, content: Content, settings: StockSettings) -> StockCount:
    """Return the count to enter in Odoo.

    Arguments:
        current: the variant's stock as it is; what is reserved lies there too and is counted.

    Raises:
        ValueError: the count would be negative.
    """
    counted = Decimal(content["quantity"])
    if settings.quantity == "free":
        counted += Decimal(current.meta["reserved"])
    if counted < 0:
        raise ValueError(NEVER_NEGATIVE)
    return StockCount(int(current.key), settings.location_id, counted)


def blocked_in_odoo(before: Content, after: Content, fields: Sequence[str]) -> Mapping[str, str]:
    """Return the fields that cannot be written to Odoo, with the reason."""
    if "quantity" in fields and Decimal(after["quantity"]) < 0:
        return {"quantity": NEVER_NEGATIVE}
    return {}


def not_creatable(content: Content) -> str | None:
    """Say why no stock is made: a product without a counterpart is for the products to make."""
    return "the product is not there; products are synced before their stock"
