"""The fields of a customer."""

from sync_pipelines.pipelines.commerce.fields import Field, FieldTable
from sync_pipelines.pipelines.commerce.given_values import no_address, no_country, no_text

CUSTOMER_FIELDS = FieldTable(
    "customers",
    (
        Field(
            "email",
            "both",
            caution="identifies a customer; letter case and blanks around it do not count",
            wrong=no_address,
        ),
        Field(
            "name",
            "both",
            caution="one text in Odoo; the shop's first and last name stay while the whole is equal",
            wrong=no_text,
        ),
        Field("phone", "both", caution="compared by its digits; 00 counts as +"),
        Field("company", "odoo", caution="of a contact of a company it is that company's name, not written in Odoo"),
        Field("street", "both", caution="billing address; the address of a contact's company is never written"),
        Field("street2", "both"),
        Field("zip", "both"),
        Field("city", "both"),
        Field("country", "both", caution="ISO 3166-1 alpha-2", wrong=no_country),
        Field("state", "both", caution="code without the country's; a state that Odoo lacks is left out, with a note"),
        Field("shipping", "both", caution="empty while it equals the billing address; an address of its own in Odoo"),
        Field("active", "both", woocommerce=False, caution="archived in Odoo; customers of the shop are always active"),
    ),
)
"""Who decides about which field of a customer, unless a shop's connection says otherwise."""
