"""Typed values of WooCommerce's REST API v3, as far as the pipeline uses them.

Texts are as the shop sends them: product names come HTML-escaped (``A &amp; B``). Money is ``Decimal``; ``None`` is a
price that is not set. Times are aware UTC. ``present`` names the fields that the answer had: with ``_fields`` the
others hold their defaults, which say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

_ZERO = Decimal(0)


class ManagesStock(StrEnum):
    """Who keeps the stock of a product or a variation."""

    NO = "no"
    YES = "yes"
    PARENT = "parent"
    """The variable product that the variation belongs to."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of a product."""

    id: int
    name: str = ""
    slug: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a product with its possible values; ``id`` is 0 for one that is the product's own."""

    id: int
    name: str
    options: tuple[str, ...] = ()
    variation: bool = False
    visible: bool = False


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """The value of an attribute that a variation stands for."""

    id: int
    name: str
    option: str = ""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Size in the shop's unit."""

    length: Decimal | None = None
    width: Decimal | None = None
    height: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What products and variations have in common.

    Attributes:
        parent_id: product that a variation belongs to, else 0.
        gtin: ``global_unique_id`` of the shop.
        price: what a customer pays now; derived by the shop.
        sale_from, sale_to: when the sale price is valid.
        stock_quantity: ``None`` when no stock is managed; the parent's when the parent manages it.
        weight: in the shop's unit.
        meta: last value of each key.
    """

    id: int
    parent_id: int = 0
    type: str = ""
    status: str = ""
    name: str = ""
    sku: str = ""
    gtin: str = ""
    price: Decimal | None = None
    regular_price: Decimal | None = None
    sale_price: Decimal | None = None
    sale_from: datetime | None = None
    sale_to: datetime | None = None
    description: str = ""
    manage_stock: ManagesStock = ManagesStock.NO
    stock_quantity: Decimal | None = None
    stock_status: str = ""
    backorders: str = ""
    weight: Decimal | None = None
    dimensions: Dimensions = Dimensions()
    tax_status: str = ""
    tax_class: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    created: datetime | None = None
    modified: datetime | None = None
    present: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Article):
    """A product; one of type ``variation`` when a variation was looked up as if it were one."""

    short_description: str = ""
    catalog_visibility: str = ""
    categories: tuple[Category, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    variations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation(Article):
    """A variation of a variable product."""

    attributes: tuple[AttributeValue, ...] = ()


@dataclass(frozen=True, slots=True)
class SkuHolder:
    """Which product or variation has a SKU, e.g. from a look-up.

    Attributes:
        type: ``variation`` for a variation, whose product is ``parent_id``.
        status: ``trash`` for one that still blocks its SKU.
    """

    id: int
    sku: str
    type: str
    parent_id: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A billing or shipping address; shipping ones have no e-mail."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address_1: str = ""
    address_2: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A user of the shop, of whatever role. ``modified`` is ``None`` until WooCommerce first saves the user."""

    id: int
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    role: str = ""
    billing: Address = Address()
    shipping: Address = Address()
    is_paying_customer: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    created: datetime | None = None
    modified: datetime | None = None
    present: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A line of an order or of a refund, where quantity and totals are negative.

    Attributes:
        product_id, variation_id: 0 when there is none; an unknown product makes an empty line without an error.
        subtotal, total: of the whole line without tax, before and after discounts.
        price: of one piece, derived by the shop.
    """

    id: int
    name: str = ""
    product_id: int = 0
    variation_id: int = 0
    sku: str = ""
    quantity: Decimal = _ZERO
    subtotal: Decimal = _ZERO
    subtotal_tax: Decimal = _ZERO
    total: Decimal = _ZERO
    total_tax: Decimal = _ZERO
    price: Decimal | None = None
    tax_class: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingLine:
    """What is charged for shipping, without tax."""

    id: int
    method_id: str = ""
    method_title: str = ""
    total: Decimal = _ZERO
    total_tax: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLine:
    """A fee without tax; negative ones are discounts."""

    id: int
    name: str = ""
    total: Decimal = _ZERO
    total_tax: Decimal = _ZERO
    tax_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponLine:
    """A coupon; its discount is in the totals of the lines already."""

    id: int
    code: str = ""
    discount: Decimal = _ZERO
    discount_tax: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """Tax of one rate over the whole order."""

    id: int
    rate_code: str = ""
    label: str = ""
    tax_total: Decimal = _ZERO
    shipping_tax_total: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class RefundSummary:
    """A refund as the order shows it; ``total`` is negative."""

    id: int
    reason: str = ""
    total: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order. ``customer_id`` is 0 for a guest, who exists in ``billing`` only."""

    id: int
    number: str = ""
    status: str = ""
    currency: str = ""
    customer_id: int = 0
    billing: Address = Address()
    shipping: Address = Address()
    lines: tuple[OrderLine, ...] = ()
    shipping_lines: tuple[ShippingLine, ...] = ()
    fee_lines: tuple[FeeLine, ...] = ()
    coupon_lines: tuple[CouponLine, ...] = ()
    tax_lines: tuple[TaxLine, ...] = ()
    refunds: tuple[RefundSummary, ...] = ()
    total: Decimal = _ZERO
    total_tax: Decimal = _ZERO
    discount_total: Decimal = _ZERO
    shipping_total: Decimal = _ZERO
    prices_include_tax: bool = False
    payment_method: str = ""
    payment_method_title: str = ""
    transaction_id: str = ""
    customer_note: str = ""
    created_via: str = ""
    order_key: str = field(default="", repr=False)
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    created: datetime | None = None
    modified: datetime | None = None
    paid: datetime | None = None
    completed: datetime | None = None
    present: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of an order; ``amount`` is positive, its lines are negative."""

    id: int
    amount: Decimal = _ZERO
    reason: str = ""
    refunded_payment: bool = False
    lines: tuple[OrderLine, ...] = ()
    created: datetime | None = None
    present: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A subscription of a receiver to a topic. The shop disables one after more than five failures in a row."""

    id: int
    name: str = ""
    status: str = ""
    topic: str = ""
    delivery_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopSettings:
    """What the meaning of numbers in the shop depends on.

    Attributes:
        price_decimals: digits after the point that the shop shows and rounds to.
        weight_unit: ``kg``, ``g``, ``lbs`` or ``oz``.
    """

    currency: str
    price_decimals: int
    prices_include_tax: bool
    weight_unit: str
