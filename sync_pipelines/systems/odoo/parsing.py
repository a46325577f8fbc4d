"""Typed values from rows of Odoo, and which fields they are made of.

Rows are read leniently: which fields there are depends on version, modules and rights. Only a wrong *kind* of value is
an error, because guessing on would compare and write nonsense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sync_pipelines.systems.odoo.errors import MalformedRow
from sync_pipelines.systems.odoo.models import (
    Country,
    CountryState,
    Currency,
    Partner,
    ProductTemplate,
    ProductVariant,
    Quant,
    SaleLine,
    SaleOrder,
    StockLevel,
)
from sync_pipelines.systems.odoo.values import (
    Row,
    amount,
    flag,
    integer,
    moment,
    record_id,
    reference,
    references,
    text,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entity(Generic[T]):
    """One model of Odoo as it is read here.

    Attributes:
        model: e.g. ``res.partner``.
        fields: what to read; those that a server does not have are left out.
        parse: makes a value of a row; raises ``ValueError``.
    """

    model: str
    fields: tuple[str, ...]
    parse: Callable[[Row], T]


def parse_rows(entity: Entity[T], rows: Sequence[Any]) -> tuple[tuple[T, ...], tuple[MalformedRow, ...]]:
    """Return the values of rows, and the rows that cannot be read.

    Raises:
        ValueError: a row has no id, so that it cannot even be named.
    """
    good: list[T] = []
    malformed: list[MalformedRow] = []
    for row in rows:
        record = record_id(row)
        try:
            good.append(entity.parse(row))
        except ValueError as problem:
            malformed.append(MalformedRow(entity.model, record, str(problem)))
    return tuple(good), tuple(malformed)


def parse_partner(row: Row) -> Partner:
    """Return a partner."""
    return Partner(
        id=record_id(row),
        name=text(row, "name"),
        email=text(row, "email"),
        email_normalized=text(row, "email_normalized"),
        phone=text(row, "phone"),
        street=text(row, "street"),
        street2=text(row, "street2"),
        city=text(row, "city"),
        zip=text(row, "zip"),
        country=reference(row, "country_id"),
        state=reference(row, "state_id"),
        vat=text(row, "vat"),
        ref=text(row, "ref"),
        comment=text(row, "comment"),
        is_company=flag(row, "is_company"),
        company_name=text(row, "company_name"),
        parent=reference(row, "parent_id"),
        commercial_partner=reference(row, "commercial_partner_id"),
        type=text(row, "type"),
        active=flag(row, "active", default=True),
        create_date=moment(row, "create_date"),
        write_date=moment(row, "write_date"),
    )


def parse_template(row: Row) -> ProductTemplate:
    """Return a product template."""
    return ProductTemplate(
        **_product(row),
        variant_ids=references(row, "product_variant_ids"),
        variant_count=integer(row, "product_variant_count"),
        attribute_line_ids=references(row, "attribute_line_ids"),
    )


def parse_variant(row: Row) -> ProductVariant:
    """Return a product variant."""
    return ProductVariant(
        **_product(row),
        template=reference(row, "product_tmpl_id"),
        display_name=text(row, "display_name"),
        lst_price=amount(row, "lst_price"),
        price_extra=amount(row, "price_extra"),
        attribute_value_ids=references(row, "product_template_variant_value_ids"),
    )


def parse_stock_level(row: Row) -> StockLevel:
    """Return the stock of a variant."""
    return StockLevel(
        product_id=record_id(row),
        available=amount(row, "qty_available"),
        free=amount(row, "free_qty"),
        forecast=amount(row, "virtual_available"),
    )


def parse_quant(row: Row) -> Quant:
    """Return the stock of a variant at a place."""
    return Quant(
        id=record_id(row),
        product=reference(row, "product_id"),
        location=reference(row, "location_id"),
        quantity=amount(row, "quantity"),
        reserved=amount(row, "reserved_quantity"),
        counted=amount(row, "inventory_quantity"),
        is_counted=flag(row, "inventory_quantity_set"),
        write_date=moment(row, "write_date"),
    )


def parse_order(row: Row) -> SaleOrder:
    """Return an order."""
    return SaleOrder(
        id=record_id(row),
        name=text(row, "name"),
        state=text(row, "state"),
        locked=flag(row, "locked"),
        partner=reference(row, "partner_id"),
        invoice_partner=reference(row, "partner_invoice_id"),
        shipping_partner=reference(row, "partner_shipping_id"),
        client_order_ref=text(row, "client_order_ref"),
        origin=text(row, "origin"),
        date_order=moment(row, "date_order"),
        line_ids=references(row, "order_line"),
        amount_untaxed=amount(row, "amount_untaxed"),
        amount_tax=amount(row, "amount_tax"),
        amount_total=amount(row, "amount_total"),
        currency=reference(row, "currency_id"),
        invoice_status=text(row, "invoice_status"),
        delivery_status=text(row, "delivery_status"),
        note=text(row, "note"),
        create_date=moment(row, "create_date"),
        write_date=moment(row, "write_date"),
    )


def parse_line(row: Row) -> SaleLine:
    """Return a line of an order. Before 19 its taxes are called ``tax_id``."""
    return SaleLine(
        id=record_id(row),
        order=reference(row, "order_id"),
        product=reference(row, "product_id"),
        name=text(row, "name"),
        quantity=amount(row, "product_uom_qty"),
        price_unit=amount(row, "price_unit"),
        discount=amount(row, "discount"),
        tax_ids=references(row, "tax_ids" if "tax_ids" in row else "tax_id"),
        price_subtotal=amount(row, "price_subtotal"),
        price_total=amount(row, "price_total"),
        qty_delivered=amount(row, "qty_delivered"),
        qty_invoiced=amount(row, "qty_invoiced"),
        display_type=text(row, "display_type"),
    )


def parse_country(row: Row) -> Country:
    """Return a country."""
    return Country(record_id(row), text(row, "code"), text(row, "name"))


def parse_state(row: Row) -> CountryState:
    """Return a state of a country."""
    return CountryState(record_id(row), reference(row, "country_id"), text(row, "code"), text(row, "name"))


def parse_currency(row: Row) -> Currency:
    """Return a currency."""
    digits = integer(row, "decimal_places")
    return Currency(record_id(row), text(row, "name"), digits, flag(row, "active", default=True))


def _product(row: Row) -> dict[str, Any]:
    kind = text(row, "type")
    return {
        "id": record_id(row),
        "name": text(row, "name"),
        "default_code": text(row, "default_code"),
        "barcode": text(row, "barcode"),
        "list_price": amount(row, "list_price"),
        "weight": amount(row, "weight"),
        "type": kind,
        # Before 18 it was a type of its own.
        "is_storable": flag(row, "is_storable", default=kind == "product"),
        "sale_ok": flag(row, "sale_ok", default=True),
        "active": flag(row, "active", default=True),
        "category": reference(row, "categ_id"),
        "currency": reference(row, "currency_id"),
        "description_sale": text(row, "description_sale"),
        "create_date": moment(row, "create_date"),
        "write_date": moment(row, "write_date"),
    }


_STAMPS = ("create_date", "write_date")
_PRODUCT_FIELDS = (
    *("name", "default_code", "barcode", "list_price", "weight", "type", "is_storable", "sale_ok", "active"),
    *("categ_id", "currency_id", "description_sale", *_STAMPS),
)
PARTNERS = Entity(
    "res.partner",
    (
        *("name", "email", "email_normalized", "phone", "street", "street2", "city", "zip", "country_id", "state_id"),
        *("vat", "ref", "comment", "is_company", "company_name", "parent_id", "commercial_partner_id", "type"),
        *("active", *_STAMPS),
    ),
    parse_partner,
)
TEMPLATES = Entity(
    "product.template",
    (*_PRODUCT_FIELDS, "product_variant_ids", "product_variant_count", "attribute_line_ids"),
    parse_template,
)
VARIANTS = Entity(
    "product.product",
    (
        *_PRODUCT_FIELDS,
        *("product_tmpl_id", "display_name", "lst_price", "price_extra", "product_template_variant_value_ids"),
    ),
    parse_variant,
)
STOCK_LEVELS = Entity("product.product", ("qty_available", "free_qty", "virtual_available"), parse_stock_level)
QUANTS = Entity(
    "stock.quant",
    (
        *("product_id", "location_id", "quantity", "reserved_quantity", "inventory_quantity"),
        *("inventory_quantity_set", "write_date"),
    ),
    parse_quant,
)
ORDERS = Entity(
    "sale.order",
    (
        *("name", "state", "locked", "partner_id", "partner_invoice_id", "partner_shipping_id", "client_order_ref"),
        *("origin", "date_order", "order_line", "amount_untaxed", "amount_tax", "amount_total", "currency_id"),
        *("invoice_status", "delivery_status", "note", *_STAMPS),
    ),
    parse_order,
)
LINES = Entity(
    "sale.order.line",
    (
        *("order_id", "product_id", "name", "product_uom_qty", "price_unit", "discount", "tax_ids", "tax_id"),
        *("price_subtotal", "price_total", "qty_delivered", "qty_invoiced", "display_type"),
    ),
    parse_line,
)
COUNTRIES = Entity("res.country", ("code", "name"), parse_country)
STATES = Entity("res.country.state", ("country_id", "code", "name"), parse_state)
CURRENCIES = Entity("res.currency", ("name", "decimal_places", "active"), parse_currency)
