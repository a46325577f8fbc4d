"""The fields of a product."""

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable
from sync_pipelines.pipelines.commerce.given_values import no_amount, no_text

_GIVEN = "given when it is made, then compared only"

PRODUCT_FIELDS = FieldTable(
    "products",
    (
        Field(
            "kind",
            "woocommerce",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution=f"simple, variation or variable; {_GIVEN}",
        ),
        Field(
            "family",
            "woocommerce",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution="lowest SKU of the variations; the first of them that is made makes the family",
        ),
        Field(
            "options",
            "woocommerce",
            one_way=True,
            woocommerce=False,
            odoo=False,
            caution=f"attributes of a variation; {_GIVEN}",
        ),
        Field(
            "sku",
            "both",
            caution="identifies a product; unique in the shop only; never written to a template with variants",
            wrong=no_text,
        ),
        Field("gtin", "both", caution="unique in both; Odoo's check has gaps"),
        Field(
            "name", "both", caution="the shop shows it HTML-escaped; variations have none of their own", wrong=no_text
        ),
        Field(
            "price",
            "both",
            caution="in Odoo one variant's is the extra price of its only attribute; a new family gets those of all",
            wrong=no_amount,
        ),
        Field("weight", "both", caution="in Odoo's unit and with its two places", wrong=no_amount),
        Field(
            "description",
            "woocommerce",
            caution="as plain text: the shop's short description loses its markup when Odoo's is taken",
        ),
        Field("for_sale", "both", caution="published in the shop; drafts and private products are not for sale"),
        Field(
            "active", "both", caution="neither in the shop's trash nor archived in Odoo; a variation is made private"
        ),
        Field("stock_kept", "odoo", caution="Odoo refuses a change once there were movements"),
    ),
)
"""Who decides about which field of a product, unless a shop's connection says otherwise."""
