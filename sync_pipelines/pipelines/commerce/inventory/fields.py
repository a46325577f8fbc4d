"""The fields of stock records."""

from __future__ import annotations

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable

INVENTORY = FieldTable(
    "inventory",
    (
        Field(
            "quantity",
            owner="odoo",
            caution="Whole pieces: a fraction in Odoo is cut off. Neither side tells a change of stock by the time of "
            "the product, so stock is read whole. A negative stock of the shop is never counted into Odoo.",
        ),
    ),
)
"""Stock of a product: Odoo decides unless a shop says otherwise."""
