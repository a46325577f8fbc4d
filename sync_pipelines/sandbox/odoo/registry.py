"""The models there are."""

from __future__ import annotations

from sync_pipelines.sandbox.odoo import attributes, deliveries, invoices, partners, reference, stock
from sync_pipelines.sandbox.odoo.external_ids import ModelData
from sync_pipelines.sandbox.odoo.order_lines import SaleOrderLine
from sync_pipelines.sandbox.odoo.orders import SaleOrder
from sync_pipelines.sandbox.odoo.records import Model
from sync_pipelines.sandbox.odoo.templates import ProductTemplate
from sync_pipelines.sandbox.odoo.variants import Product

MODELS: tuple[type[Model], ...] = (
    partners.Partner,
    partners.PartnerCategory,
    reference.Country,
    reference.CountryState,
    reference.Company,
    reference.Currency,
    reference.Language,
    reference.LanguageInstall,
    reference.Tax,
    reference.Pricelist,
    reference.Unit,
    reference.Precision,
    reference.Parameter,
    reference.Users,
    ModelData,
    attributes.ProductCategory,
    attributes.Attribute,
    attributes.AttributeValue,
    attributes.AttributeLine,
    attributes.TemplateAttributeValue,
    ProductTemplate,
    Product,
    stock.Quant,
    stock.Location,
    stock.Warehouse,
    deliveries.Picking,
    deliveries.Move,
    SaleOrder,
    SaleOrderLine,
    invoices.AccountMove,
    invoices.AccountMoveLine,
)
