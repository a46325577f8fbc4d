"""The fields of payment records."""

from __future__ import annotations

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable

_SHOP_ONLY = "Told by the shop only; Odoo learns of it when accounting books the payment."

PAYMENTS = FieldTable(
    "payments",
    (
        Field(
            "paid",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution="Odoo says nothing until an invoice of the order is posted. A payment is booked by accounting, "
            "never from here.",
        ),
        Field("paid_at", owner="woocommerce", one_way=True, woocommerce=False, odoo=False, caution=_SHOP_ONLY),
        Field("method", owner="woocommerce", one_way=True, woocommerce=False, odoo=False, caution=_SHOP_ONLY),
        Field("transaction", owner="woocommerce", one_way=True, woocommerce=False, odoo=False, caution=_SHOP_ONLY),
    ),
)
"""Payment of an order."""
