"""Typed client of WooCommerce's REST API v3: products, variations, customers, orders, refunds and webhooks."""

from sync_pipelines.systems.woocommerce.auth import Keys
from sync_pipelines.systems.woocommerce.batches import MAX_ITEMS, BatchOutcome
from sync_pipelines.systems.woocommerce.client import WooCommerceClient
from sync_pipelines.systems.woocommerce.errors import PEER, MalformedRecord, Reason, WooCommerceError, reason_of
from sync_pipelines.systems.woocommerce.listing import Page, Window
from sync_pipelines.systems.woocommerce.models import (
    Address,
    Article,
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
    ShopSettings,
    SkuHolder,
    TaxLine,
    Variation,
    Webhook,
)
from sync_pipelines.systems.woocommerce.session import woocommerce_transport
from sync_pipelines.systems.woocommerce.webhooks import Delivery, DeliveryRefused, Ping, read_delivery
from sync_pipelines.systems.woocommerce.wire import Unsendable

__all__ = [
    "MAX_ITEMS",
    "PEER",
    "Address",
    "Article",
    "Attribute",
    "AttributeValue",
    "BatchOutcome",
    "Category",
    "CouponLine",
    "Customer",
    "Delivery",
    "DeliveryRefused",
    "Dimensions",
    "FeeLine",
    "Keys",
    "MalformedRecord",
    "ManagesStock",
    "Order",
    "OrderLine",
    "Page",
    "Ping",
    "Product",
    "Reason",
    "Refund",
    "RefundSummary",
    "ShippingLine",
    "ShopSettings",
    "SkuHolder",
    "TaxLine",
    "Unsendable",
    "Variation",
    "Webhook",
    "Window",
    "WooCommerceClient",
    "WooCommerceError",
    "read_delivery",
    "reason_of",
    "woocommerce_transport",
]
