"""Records from WooCommerce's JSON, whole ones or cut by ``_fields``. Each function raises ``BadValue``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sync_pipelines.systems.woocommerce.models import (
    Address,
    Attribute,
    AttributeValue,
    Category,
    CouponLine,
    Customer,
    Dimensions,
    FeeLine,
    ManagesStock,
    Order,
    OrderLine,
    Product,
    Refund,
    RefundSummary,
    ShippingLine,
    SkuHolder,
    TaxLine,
    Variation,
    Webhook,
)
from sync_pipelines.systems.woocommerce.values import (
    BadValue,
    Row,
    amount,
    each,
    flag,
    identifier,
    meta,
    moment,
    number,
    object_of,
    reference,
    text,
    within,
)


def parse_product(value: Any) -> Product:
    """Return a product."""
    row = object_of(value)
    return Product(
        **_article(row),
        short_description=text(row, "short_description"),
        catalog_visibility=text(row, "catalog_visibility"),
        categories=each(row, "categories", _category),
        attributes=each(row, "attributes", _attribute),
        variations=each(row, "variations", _plain_id),
    )


def parse_variation(value: Any) -> Variation:
    """Return a variation."""
    row = object_of(value)
    return Variation(**_article(row), attributes=each(row, "attributes", _attribute_value))


def parse_sku_holder(value: Any) -> SkuHolder:
    """Return who has a SKU."""
    row = object_of(value)
    return SkuHolder(
        identifier(row), text(row, "sku"), text(row, "type"), reference(row, "parent_id"), text(row, "status")
    )


def parse_customer(value: Any) -> Customer:
    """Return a customer."""
    row = object_of(value)
    return Customer(
        id=identifier(row),
        email=text(row, "email"),
        first_name=text(row, "first_name"),
        last_name=text(row, "last_name"),
        username=text(row, "username"),
        role=text(row, "role"),
        billing=within(row, "billing", _address),
        shipping=within(row, "shipping", _address),
        is_paying_customer=flag(row, "is_paying_customer"),
        meta=meta(row),
        created=moment(row, "date_created_gmt"),
        modified=moment(row, "date_modified_gmt"),
        present=frozenset(row),
    )


def parse_order(value: Any) -> Order:
    """Return an order."""
    row = object_of(value)
    return Order(
        id=identifier(row),
        number=text(row, "number"),
        status=text(row, "status"),
        currency=text(row, "currency"),
        customer_id=reference(row, "customer_id"),
        billing=within(row, "billing", _address),
        shipping=within(row, "shipping", _address),
        lines=each(row, "line_items", _line),
        shipping_lines=each(row, "shipping_lines", _shipping_line),
        fee_lines=each(row, "fee_lines", _fee_line),
        coupon_lines=each(row, "coupon_lines", _coupon_line),
        tax_lines=each(row, "tax_lines", _tax_line),
        refunds=each(row, "refunds", _refund_summary),
        total=amount(row, "total"),
        total_tax=amount(row, "total_tax"),
        discount_total=amount(row, "discount_total"),
        shipping_total=amount(row, "shipping_total"),
        prices_include_tax=flag(row, "prices_include_tax"),
        payment_method=text(row, "payment_method"),
        payment_method_title=text(row, "payment_method_title"),
        transaction_id=text(row, "transaction_id"),
        customer_note=text(row, "customer_note"),
        created_via=text(row, "created_via"),
        order_key=text(row, "order_key"),
        meta=meta(row),
        created=moment(row, "date_created_gmt"),
        modified=moment(row, "date_modified_gmt"),
        paid=moment(row, "date_paid_gmt"),
        completed=moment(row, "date_completed_gmt"),
        present=frozenset(row),
    )


def parse_refund(value: Any) -> Refund:
    """Return a refund."""
    row = object_of(value)
    return Refund(
        id=identifier(row),
        amount=amount(row, "amount"),
        reason=text(row, "reason"),
        refunded_payment=flag(row, "refunded_payment"),
        lines=each(row, "line_items", _line),
        created=moment(row, "date_created_gmt"),
        present=frozenset(row),
    )


def parse_webhook(value: Any) -> Webhook:
    """Return a webhook."""
    row = object_of(value)
    return Webhook(
        id=identifier(row),
        name=text(row, "name"),
        status=text(row, "status"),
        topic=text(row, "topic"),
        delivery_url=text(row, "delivery_url"),
    )


def _article(row: Row) -> dict[str, Any]:
    return {
        "id": identifier(row),
        "parent_id": reference(row, "parent_id"),
        "type": text(row, "type"),
        "status": text(row, "status"),
        "name": text(row, "name"),
        "sku": text(row, "sku"),
        "gtin": text(row, "global_unique_id"),
        "price": number(row, "price"),
        "regular_price": number(row, "regular_price"),
        "sale_price": number(row, "sale_price"),
        "sale_from": moment(row, "date_on_sale_from_gmt"),
        "sale_to": moment(row, "date_on_sale_to_gmt"),
        "description": text(row, "description"),
        "manage_stock": _manages_stock(row),
        "stock_quantity": number(row, "stock_quantity"),
        "stock_status": text(row, "stock_status"),
        "backorders": text(row, "backorders"),
        "weight": number(row, "weight"),
        "dimensions": within(row, "dimensions", _dimensions),
        "tax_status": text(row, "tax_status"),
        "tax_class": text(row, "tax_class"),
        "meta": meta(row),
        "created": moment(row, "date_created_gmt"),
        "modified": moment(row, "date_modified_gmt"),
        "present": frozenset(row),
    }


def _manages_stock(row: Row) -> ManagesStock:
    if row.get("manage_stock") == "parent":
        return ManagesStock.PARENT
    return ManagesStock.YES if flag(row, "manage_stock") else ManagesStock.NO


def _dimensions(row: Row) -> Dimensions:
    return Dimensions(number(row, "length"), number(row, "width"), number(row, "height"))


def _category(value: Any) -> Category:
    row = object_of(value)
    return Category(identifier(row), text(row, "name"), text(row, "slug"))


def _attribute(value: Any) -> Attribute:
    row = object_of(value)
    if "option" in row:
        # A variation that was asked for as a product.
        return Attribute(reference(row, "id"), text(row, "name"), (text(row, "option"),), variation=True)
    options = each(row, "options", _plain_text)
    return Attribute(reference(row, "id"), text(row, "name"), options, flag(row, "variation"), flag(row, "visible"))


def _attribute_value(value: Any) -> AttributeValue:
    row = object_of(value)
    return AttributeValue(reference(row, "id"), text(row, "name"), text(row, "option"))


def _address(row: Row) -> Address:
    return Address(
        first_name=text(row, "first_name"),
        last_name=text(row, "last_name"),
        company=text(row, "company"),
        address_1=text(row, "address_1"),
        address_2=text(row, "address_2"),
        city=text(row, "city"),
        state=text(row, "state"),
        postcode=text(row, "postcode"),
        country=text(row, "country"),
        email=text(row, "email"),
        phone=text(row, "phone"),
    )


def _line(value: Any) -> OrderLine:
    row = object_of(value)
    return OrderLine(
        id=identifier(row),
        name=text(row, "name"),
        product_id=reference(row, "product_id"),
        variation_id=reference(row, "variation_id"),
        sku=text(row, "sku"),
        quantity=amount(row, "quantity"),
        subtotal=amount(row, "subtotal"),
        subtotal_tax=amount(row, "subtotal_tax"),
        total=amount(row, "total"),
        total_tax=amount(row, "total_tax"),
        price=number(row, "price"),
        tax_class=text(row, "tax_class"),
        meta=meta(row),
    )


def _shipping_line(value: Any) -> ShippingLine:
    row = object_of(value)
    return ShippingLine(
        id=identifier(row),
        method_id=text(row, "method_id"),
        method_title=text(row, "method_title"),
        total=amount(row, "total"),
        total_tax=amount(row, "total_tax"),
    )


def _fee_line(value: Any) -> FeeLine:
    row = object_of(value)
    return FeeLine(
        id=identifier(row),
        name=text(row, "name"),
        total=amount(row, "total"),
        total_tax=amount(row, "total_tax"),
        tax_class=text(row, "tax_class"),
    )


def _coupon_line(value: Any) -> CouponLine:
    row = object_of(value)
    return CouponLine(
        id=identifier(row),
        code=text(row, "code"),
        discount=amount(row, "discount"),
        discount_tax=amount(row, "discount_tax"),
    )


def _tax_line(value: Any) -> TaxLine:
    row = object_of(value)
    return TaxLine(
        id=identifier(row),
        rate_code=text(row, "rate_code"),
        label=text(row, "label"),
        tax_total=amount(row, "tax_total"),
        shipping_tax_total=amount(row, "shipping_tax_total"),
    )


def _refund_summary(value: Any) -> RefundSummary:
    row = object_of(value)
    return RefundSummary(identifier(row), text(row, "reason"), amount(row, "total"))


def _plain_id(value: Any) -> int:
    if type(value) is not int or value <= 0:
        raise BadValue("", f"{value!r:.40} is not an id")
    return value


def _plain_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadValue("", f"{value!r:.40} is not a text")
    return str(value)
