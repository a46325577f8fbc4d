"""Strict stand-in of Shopify's GraphQL Admin API, by its documentation: no live shop was asked."""

from sync_pipelines.sandbox.shopify.standin import ShopifyStandIn
from sync_pipelines.sandbox.shopify.world import CLIENT_ID, CLIENT_SECRET, PERMANENT_TOKEN, ShopifyWorld

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PERMANENT_TOKEN", "ShopifyStandIn", "ShopifyWorld"]
