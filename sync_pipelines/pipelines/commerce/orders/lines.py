"""Lines of orders: one form for both sides, what counts as equal, and how a line is written to Odoo."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.odoo import LineDraft, SaleLine, money
from sync_pipelines.systems.woocommerce import Order, OrderLine

CENT = Decimal("0.01")
"""What two totals of one line may differ by: each side rounds in its own way."""
_PRICE_DIGITS = (2, 6)
_HUNDRED = Decimal(100)


class Kind(StrEnum):
    """What a line sells."""

    PRODUCT = "product"
    SHIPPING = "shipping"
    FEE = "fee"
    OTHER = "other"
    """Something without a product of its own, told by its name."""


Line = Mapping[str, Any]
"""``kind``, ``product`` (SKU, empty for the other kinds), ``name`` (empty for products), ``quantity``, ``price`` of a
piece before discounts and the ``total`` after them, both without tax, and the shop's ``tax_class``, ``None`` for a line
without tax and for those of Odoo."""


@dataclass(frozen=True, slots=True)
class Services:
    """Variants of Odoo that lines without a product of their own stand on; ``other`` may be missing."""

    shipping: int
    fee: int
    other: int | None


def line(
    kind: Kind,
    *,
    quantity: Decimal,
    price: Decimal,
    total: Decimal,
    product: str = "",
    name: str = "",
    tax_class: str | None = None,
) -> dict[str, Any]:
    """Return a line in the form of both sides."""
    return {
        "kind": str(kind),
        "product": product,
        "name": name,
        "quantity": quantity,
        "price": price,
        "total": total,
        "tax_class": tax_class,
    }


def lines_of_woo(order: Order, linked: Linked, settings: OrderSettings) -> list[dict[str, Any]]:
    """Return the lines of a shop's order. A coupon has none: its discount is in the totals of the others."""
    digits = settings.digits
    lines = [_item(item, linked, settings) for item in order.lines if item.quantity]
    for shipping in order.shipping_lines:
        taxed = "" if shipping.total_tax else None
        lines.append(_service(Kind.SHIPPING, shipping.method_title, money(shipping.total, digits), taxed))
    for fee in order.fee_lines:
        taxed = fee.tax_class if fee.total_tax else None
        lines.append(_service(Kind.FEE, fee.name, money(fee.total, digits), taxed))
    return in_order(lines)


def _service(kind: Kind, name: str, total: Decimal, tax_class: str | None) -> dict[str, Any]:
    return line(kind, name=plain(name), quantity=Decimal(1), price=total, total=total, tax_class=tax_class)


def plain(text: str) -> str:
    """Return a text of the shop as people read it: it comes escaped for HTML."""
    return html.unescape(text).strip()


def _item(item: OrderLine, linked: Linked, settings: OrderSettings) -> dict[str, Any]:
    price = _price_of_piece(item.subtotal, item.quantity)
    taxed = item.tax_class if item.total_tax else None
    total = money(item.total, settings.digits)
    sku = item.sku.strip()
    if sku and (settings.unlinked == "wait" or linked.variant_of(sku) is not None):
        return line(Kind.PRODUCT, product=sku, quantity=item.quantity, price=price, total=total, tax_class=taxed)
    name = f"{plain(item.name)} ({sku})" if sku else plain(item.name)
    return line(Kind.OTHER, name=name, quantity=item.quantity, price=price, total=total, tax_class=taxed)


def lines_of_odoo(
    rows: Iterable[SaleLine], codes: Mapping[int, str], linked: Linked, settings: OrderSettings
) -> list[dict[str, Any]]:
    """Return the lines of an order of Odoo in the same form, without notes and lines of nothing.

    Arguments:
        codes: of the variants on the lines.
    """
    return in_order(line_of_odoo(row, codes, linked, settings) for row in rows if sells(row))


def sells(row: SaleLine) -> bool:
    """Say whether a line is more than a remark. One of a confirmed order is taken out by the quantity 0."""
    return not row.display_type and row.quantity != 0


def line_of_odoo(row: SaleLine, codes: Mapping[int, str], linked: Linked, settings: OrderSettings) -> dict[str, Any]:
    """Return one line of Odoo; see :func:`lines_of_odoo`."""
    variant = row.product.id if row.product else 0
    code = linked.sku_of(variant) or codes.get(variant, "").strip()
    kind = _services(settings).get(code_key(code), Kind.PRODUCT if code_key(code) else Kind.OTHER)
    product, name = (code, "") if kind is Kind.PRODUCT else ("", row.name.strip())
    total = money(row.price_subtotal, settings.digits)
    return line(kind, product=product, name=name, quantity=row.quantity, price=row.price_unit, total=total)


def _services(settings: OrderSettings) -> dict[str, Kind]:
    codes = {settings.stand_in: Kind.OTHER, settings.fee: Kind.FEE, settings.shipping: Kind.SHIPPING}
    return {code_key(code): kind for code, kind in codes.items() if code_key(code)}


def in_order(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines in the one order in which both sides list them: where they stand on a page means nothing."""
    return sorted(lines, key=_rank)


def _rank(one: Line) -> tuple[Any, ...]:
    return (*_identity(one), Decimal(one["total"]), one["name"])


def _identity(one: Line) -> tuple[Any, ...]:
    return one["kind"], code_key(one["product"]), Decimal(one["quantity"])


def lines_alike(wanted: Sequence[Line], found: Sequence[Line]) -> bool:
    """Say whether two orders sell the same for the same money, a cent a line aside. Names may be worded otherwise."""
    if len(wanted) != len(found):
        return False
    pairs = zip(sorted(wanted, key=_rank), sorted(found, key=_rank), strict=True)
    return all(line_alike(one, other) for one, other in pairs)


def line_alike(one: Line, other: Line) -> bool:
    """Say whether two lines sell the same for the same money, a cent aside."""
    return _identity(one) == _identity(other) and abs(Decimal(one["total"]) - Decimal(other["total"])) <= CENT


def _price_of_piece(subtotal: Decimal, quantity: Decimal) -> Decimal:
    for digits in _PRICE_DIGITS:
        price = _rounded(subtotal / quantity, digits)
        if price * quantity == subtotal:
            break
    return price


def draft_of(one: Line, variant: int, settings: OrderSettings) -> LineDraft:
    """Return how a line is written to Odoo: price and quantity always together, the discount in percent.

    Odoo keeps percents of two places, so a discount on a large sum may miss the total by more than a cent; then the
    price itself is the reduced one.

    Arguments:
        variant: of the product, or of the service that it is booked on.
    """
    quantity, price, total = (Decimal(one[name]) for name in ("quantity", "price", "total"))
    whole = price * quantity
    discount = _rounded((1 - total / whole) * _HUNDRED, 2) if whole > 0 and 0 <= total < whole else Decimal(0)
    if abs(_rounded(whole * (1 - discount / _HUNDRED), settings.digits) - total) > CENT:
        price, discount = _price_of_piece(total, quantity), Decimal(0)
    return LineDraft(
        quantity=quantity,
        price_unit=price,
        product_id=variant,
        name=_text(one),
        discount=discount,
        tax_ids=() if one["tax_class"] is None else settings.taxes.get(one["tax_class"], ()),
    )


def _text(one: Line) -> str:
    if one["kind"] == Kind.OTHER:
        return f"{one['name'] or 'Item of the shop'}\nThis item of the shop has no product here."
    return str(one["name"])


def _rounded(number: Decimal, digits: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
