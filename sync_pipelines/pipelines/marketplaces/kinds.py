"""The kinds of marketplaces that can be connected. A further one is a module of its own and a line here."""

from __future__ import annotations

from sync_pipelines.pipelines.marketplaces.amazon import AMAZON
from sync_pipelines.pipelines.marketplaces.marketplace import Marketplace
from sync_pipelines.pipelines.marketplaces.shopify import SHOPIFY
from sync_pipelines.pipelines.marketplaces.takealot import TAKEALOT
from sync_pipelines.pipelines.marketplaces.woocommerce import WOOCOMMERCE

MARKETPLACES: dict[str, Marketplace] = {one.kind: one for one in (WOOCOMMERCE, TAKEALOT, SHOPIFY, AMAZON)}
