"""The fields of stock records."""

from __future__ import annotations

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable
from sync_pipelines.pipelines.commerce.given_values import no_count

INVENTORY = FieldTable(
    "inventory",
    (
        Field(
            "quantity",
            owner="odoo",
            caution="Whole pieces: a fraction in Odoo is cut off. Neither side tells a change of stock by the time of "
            "the product, so stock is read whole. A negative stock of the shop is never counted into Odoo.",
            wrong=no_count,
        ),
    ),
)
"""Stock of a product: Odoo decides unless a shop says otherwise."""
