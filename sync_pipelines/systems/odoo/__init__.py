"""Typed client of Odoo's external API: JSON-2 of version 19 and later, JSON-RPC of older ones."""

from sync_pipelines.systems.odoo.batches import Outcome, Status
from sync_pipelines.systems.odoo.calls import PEER, Calls
from sync_pipelines.systems.odoo.client import OdooClient
from sync_pipelines.systems.odoo.errors import MalformedRow, OdooError, Reason
from sync_pipelines.systems.odoo.listing import Page
from sync_pipelines.systems.odoo.loading import LoadRecord
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
from sync_pipelines.systems.odoo.orders import LineDraft, OrderDraft
from sync_pipelines.systems.odoo.parsing import (
    LINES,
    ORDERS,
    PARTNERS,
    QUANTS,
    STOCK_LEVELS,
    TEMPLATES,
    VARIANTS,
    Entity,
)
from sync_pipelines.systems.odoo.session import OdooSession, ProtocolChoice
from sync_pipelines.systems.odoo.stock import StockCount
from sync_pipelines.systems.odoo.values import Reference, money
from sync_pipelines.systems.odoo.version import OdooVersion

__all__ = [
    "LINES",
    "ORDERS",
    "PARTNERS",
    "PEER",
    "QUANTS",
    "STOCK_LEVELS",
    "TEMPLATES",
    "VARIANTS",
    "Calls",
    "Country",
    "CountryState",
    "Currency",
    "Entity",
    "LineDraft",
    "LoadRecord",
    "MalformedRow",
    "OdooClient",
    "OdooError",
    "OdooSession",
    "OdooVersion",
    "OrderDraft",
    "Outcome",
    "Page",
    "Partner",
    "ProductTemplate",
    "ProductVariant",
    "ProtocolChoice",
    "Quant",
    "Reason",
    "Reference",
    "SaleLine",
    "SaleOrder",
    "Status",
    "StockCount",
    "StockLevel",
    "money",
]
