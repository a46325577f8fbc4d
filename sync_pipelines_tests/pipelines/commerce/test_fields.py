"""The tables of fields: what they say to the merge, and what a connection may change."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines.pipelines.commerce.customers.fields import CUSTOMER_FIELDS
from sync_pipelines.pipelines.commerce.fields import Field, FieldTable
from sync_pipelines.pipelines.commerce.products.fields import PRODUCT_FIELDS

TABLE = FieldTable(
    "things",
    (
        Field("name", "both"),
        Field("price", "woocommerce", caution="in euros"),
        Field("stock", "odoo", one_way=True),
        Field("total", "woocommerce", one_way=True, woocommerce=False, odoo=False),
        Field("archived", "odoo", woocommerce=False),
    ),
)


def test_given_a_table_when_rules_are_asked_for_then_owners_are_sides() -> None:
    assert TABLE.rules() == {
        "name": Rule(),
        "price": Rule(Side.LEFT),
        "stock": Rule(Side.RIGHT, one_way=True),
        "total": Rule(Side.LEFT, one_way=True),
        "archived": Rule(Side.RIGHT),
    }


def test_given_a_table_when_asked_what_can_be_written_then_compared_fields_are_left_out() -> None:
    assert TABLE.writable_at("woocommerce") == {"name", "price", "stock"}
    assert TABLE.writable_at("odoo") == {"name", "price", "stock", "archived"}
    told = TABLE.held_back_at("woocommerce")({}, {}, ["name", "total", "archived"])
    assert told == {
        "total": "total cannot be written in woocommerce",
        "archived": "archived cannot be written in woocommerce",
    }


def test_given_other_owners_when_overridden_then_only_those_rules_change() -> None:
    changed = TABLE.overridden({"name": "odoo", "price": "both", "stock": "woocommerce"})
    before = TABLE.rules()
    own = {"name": Rule(Side.RIGHT), "price": Rule(), "stock": Rule(Side.LEFT, one_way=True)}
    assert changed.rules() == {**before, **own}
    assert TABLE.rules() == before


@pytest.mark.parametrize(
    ("owners", "message"),
    [
        ({"color": "both"}, "things have no field color; they have name, price, stock"),
        ({"name": "erp"}, "the owner of things' name is 'erp'; it must be one of woocommerce, odoo, both"),
        ({"stock": "both"}, "the owner of things' stock cannot be both: the field goes one way"),
        ({"archived": "both"}, "cannot be both: the field cannot be written in woocommerce"),
        ({"total": "odoo"}, "cannot be odoo: the field cannot be written in woocommerce"),
    ],
)
def test_given_an_owner_that_cannot_be_when_overridden_then_the_message_says_why(
    owners: Mapping[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TABLE.overridden(owners)
    assert message in str(refused.value)


def test_given_a_wrong_table_when_made_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="name is there twice"):
        FieldTable("things", (Field("name", "both"), Field("name", "odoo")))
    with pytest.raises(ValueError, match="needs an owner"):
        Field("name", "both", one_way=True)
    with pytest.raises(ValueError, match="'erp' is not a valid Owner"):
        Field("name", "erp")


def test_given_a_table_when_printed_then_every_field_has_a_line() -> None:
    assert TABLE.markdown().splitlines()[2:] == [
        "| `name` | both | both ways |  |",
        "| `price` | woocommerce | both ways | in euros |",
        "| `stock` | odoo | Odoo to WooCommerce |  |",
        "| `total` | woocommerce | compared only |  |",
        "| `archived` | odoo | WooCommerce to Odoo |  |",
    ]


@pytest.mark.parametrize("table", [CUSTOMER_FIELDS, PRODUCT_FIELDS], ids=["customers", "products"])
def test_given_a_field_that_cannot_be_written_everywhere_when_listed_then_the_docs_say_why(table: FieldTable) -> None:
    assert all(field.caution for field in table if not (field.woocommerce and field.odoo))
