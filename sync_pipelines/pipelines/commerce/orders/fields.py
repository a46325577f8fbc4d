"""The fields of order records."""

from __future__ import annotations

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable

ORDERS = FieldTable(
    "orders",
    (
        Field(
            "reference",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="`WC-<store>-<order id>` in `client_order_ref`. Odoo takes one twice.",
        ),
        Field(
            "customer",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="A guest is found by e-mail, or made a partner. Not changed once the order is confirmed.",
        ),
        Field(
            "currency",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="Comes with the price list in Odoo, which needs one for each currency.",
        ),
        Field(
            "date",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="Confirming sets `date_order` to now, so it is written back afterwards.",
        ),
        Field(
            "lines",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="Products, shipping and fees, without tax and after discounts. A cent a line is tolerated. Odoo "
            "prices a line anew when only its quantity is written, so both are always sent.",
        ),
        Field(
            "total",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution="Follows from the lines and their taxes. A cent for each line is tolerated.",
        ),
        Field(
            "status",
            owner="woocommerce",
            caution="Open, confirmed or cancelled. A confirmed order does not go back to a quotation, and one that is "
            "delivered or invoiced is not cancelled.",
        ),
        Field(
            "refunds",
            owner="woocommerce",
            one_way=True,
            woocommerce=False,
            caution="Credit notes with the reference `WC-<store>-<order id>-R<refund id>`. Made as drafts where "
            "that is allowed and something is invoiced; reported otherwise.",
        ),
        Field(
            "progress",
            owner="odoo",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution="Delivered, invoiced, locked: what keeps an order from being changed.",
        ),
    ),
)
"""An order is the shop's; Odoo says how far it has got."""
