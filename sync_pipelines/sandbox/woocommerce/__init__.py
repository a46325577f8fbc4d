"""Strict stand-in of WooCommerce REST v3, as version 11.0.1 was recorded to behave."""

from sync_pipelines.sandbox.woocommerce.access import DEMO_KEY
from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.model import ApiKey
from sync_pipelines.sandbox.woocommerce.seeds import seed_bulk, seed_demo
from sync_pipelines.sandbox.woocommerce.standin import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.webhooks import Delivery
from sync_pipelines.sandbox.woocommerce.world import ShopWorld

__all__ = [
    "DEMO_KEY",
    "ApiError",
    "ApiKey",
    "Delivery",
    "ShopWorld",
    "WooCommerceStandIn",
    "seed_bulk",
    "seed_demo",
]
