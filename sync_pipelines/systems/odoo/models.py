"""What Odoo says about partners, products, stock and orders, as typed values.

Empty texts are ``""`` whether Odoo says ``false`` or ``""``; a field that was not asked for has its empty value.
Moments are aware. Amounts are as stored, which is not always with the currency's places.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sync_pipelines.systems.odoo.values import Reference


@dataclass(frozen=True, slots=True)
class Partner:
    """A customer, a company, a contact or one of their addresses: ``res.partner``.

    Attributes:
        email: as it was entered; look people up by ``email_normalized``, which is trimmed and in lower case.
        comment: HTML.
        parent: the company, or the person an address belongs to.
        type: ``contact``, ``invoice``, ``delivery`` or ``other``.
        write_date: start of the transaction that wrote last. A change of a delivery address moves it there only.
    """

    id: int
    name: str
    email: str
    email_normalized: str
    phone: str
    street: str
    street2: str
    city: str
    zip: str
    country: Reference | None
    state: Reference | None
    vat: str
    ref: str
    comment: str
    is_company: bool
    company_name: str
    parent: Reference | None
    commercial_partner: Reference | None
    type: str
    active: bool
    create_date: datetime | None
    write_date: datetime | None


@dataclass(frozen=True, slots=True)
class ProductTemplate:
    """What variants have in common: ``product.template``.

    Attributes:
        default_code: of the only variant; with several it is the template's own, and the variants keep theirs.
        type: ``consu``, ``service`` or ``combo``; before 18 also ``product``.
        is_storable: whether stock is kept.
        description_sale: text.
    """

    id: int
    name: str
    default_code: str
    barcode: str
    list_price: Decimal
    weight: Decimal
    type: str
    is_storable: bool
    sale_ok: bool
    active: bool
    category: Reference | None
    currency: Reference | None
    description_sale: str
    variant_ids: tuple[int, ...]
    variant_count: int
    attribute_line_ids: tuple[int, ...]
    create_date: datetime | None
    write_date: datetime | None


@dataclass(frozen=True, slots=True)
class ProductVariant:
    """What is sold and kept in stock: ``product.product``.

    Attributes:
        default_code: the SKU. Not unique.
        list_price: the template's.
        lst_price: the template's with the extra price of this variant's attributes. Writing it writes the template's.
        attribute_value_ids: of ``product.template.attribute.value``, without those of single-valued attributes.
        write_date: moved by the variant's own fields and the template's, never by its stock.
    """

    id: int
    template: Reference | None
    name: str
    display_name: str
    default_code: str
    barcode: str
    list_price: Decimal
    lst_price: Decimal
    price_extra: Decimal
    weight: Decimal
    type: str
    is_storable: bool
    sale_ok: bool
    active: bool
    category: Reference | None
    currency: Reference | None
    description_sale: str
    attribute_value_ids: tuple[int, ...]
    create_date: datetime | None
    write_date: datetime | None


@dataclass(frozen=True, slots=True)
class StockLevel:
    """Stock of a variant over all internal locations.

    Attributes:
        available: what is there (``qty_available``).
        free: what is there and not reserved (``free_qty``).
        forecast: with what is coming and going (``virtual_available``).
    """

    product_id: int
    available: Decimal
    free: Decimal
    forecast: Decimal


@dataclass(frozen=True, slots=True)
class Quant:
    """Stock of a variant at one place: ``stock.quant``.

    Attributes:
        counted: a count that waits to be applied, where ``is_counted``.
    """

    id: int
    product: Reference | None
    location: Reference | None
    quantity: Decimal
    reserved: Decimal
    counted: Decimal
    is_counted: bool
    write_date: datetime | None


@dataclass(frozen=True, slots=True)
class SaleOrder:
    """A quotation or an order: ``sale.order``.

    Attributes:
        state: ``draft``, ``sent``, ``sale`` or ``cancel``; before 17 also ``done``.
        client_order_ref: our reference. Not unique.
        date_order: replaced by the time of confirmation when an order is confirmed.
        invoice_status: ``no``, ``to invoice``, ``invoiced`` or ``upselling``.
        delivery_status: empty, ``pending``, ``started``, ``partial`` or ``full``.
        note: HTML.
    """

    id: int
    name: str
    state: str
    locked: bool
    partner: Reference | None
    invoice_partner: Reference | None
    shipping_partner: Reference | None
    client_order_ref: str
    origin: str
    date_order: datetime | None
    line_ids: tuple[int, ...]
    amount_untaxed: Decimal
    amount_tax: Decimal
    amount_total: Decimal
    currency: Reference | None
    invoice_status: str
    delivery_status: str
    note: str
    create_date: datetime | None
    write_date: datetime | None


@dataclass(frozen=True, slots=True)
class SaleLine:
    """A line of an order: ``sale.order.line``.

    Attributes:
        product: ``None`` for a line of text only, which keeps its order from being confirmed, and for notes.
        discount: in percent.
        display_type: ``line_section`` or ``line_note`` for lines that sell nothing; else empty.
    """

    id: int
    order: Reference | None
    product: Reference | None
    name: str
    quantity: Decimal
    price_unit: Decimal
    discount: Decimal
    tax_ids: tuple[int, ...]
    price_subtotal: Decimal
    price_total: Decimal
    qty_delivered: Decimal
    qty_invoiced: Decimal
    display_type: str


@dataclass(frozen=True, slots=True)
class Country:
    """A country; ``code`` is ISO 3166-1 alpha-2, and ``XI`` for Northern Ireland."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class CountryState:
    """A state of a country; codes follow no one standard (``DE-BE``, ``TX``, ``ANT``)."""

    id: int
    country: Reference | None
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency; ``digits`` are its decimal places."""

    id: int
    code: str
    digits: int
    active: bool
