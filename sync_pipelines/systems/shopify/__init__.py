"""Shopify's GraphQL Admin API, as far as reading orders and products goes."""

from sync_pipelines.systems.shopify.bulk import BulkReader
from sync_pipelines.systems.shopify.listing import Node, Range, Reader
from sync_pipelines.systems.shopify.resources import ORDERS, PRODUCTS, Resource
from sync_pipelines.systems.shopify.session import PEER, ShopifySession, shopify_transport
from sync_pipelines.systems.shopify.shop import Shop, read_shop
from sync_pipelines.systems.shopify.tokens import ClientCredentials, PermanentToken, Tokens

__all__ = [
    "ORDERS",
    "PEER",
    "PRODUCTS",
    "BulkReader",
    "ClientCredentials",
    "Node",
    "PermanentToken",
    "Range",
    "Reader",
    "Resource",
    "Shop",
    "ShopifySession",
    "Tokens",
    "read_shop",
    "shopify_transport",
]
