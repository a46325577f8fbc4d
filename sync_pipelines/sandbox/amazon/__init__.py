"""Strict stand-in of the Selling Partner API: Orders 2026-01-01, Finances 2024-06-19, Listings Items 2021-08-01.

Built to the published models and what is documented and reported about them; nothing was recorded from a live account.
"""

from sync_pipelines.sandbox.amazon.seeds import ANCHOR, demo_world, made_up_order
from sync_pipelines.sandbox.amazon.standin import AmazonStandIn, AmazonUrls
from sync_pipelines.sandbox.amazon.world import CLIENT_ID, CLIENT_SECRET, REGIONS, SELLER_ID, AmazonWorld, refresh_token

__all__ = [
    "ANCHOR",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "REGIONS",
    "SELLER_ID",
    "AmazonStandIn",
    "AmazonUrls",
    "AmazonWorld",
    "demo_world",
    "made_up_order",
    "refresh_token",
]
