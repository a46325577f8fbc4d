"""A shop in the connections file: what it defaults to, and what is said about mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.fields import Owner
from sync_pipelines.pipelines.registry import SECTIONS
from sync_pipelines.settings import load_section
from sync_pipelines_tests.pipelines.commerce.shop_runs import SECRETS, connection_of, row_of

URLS = ("http://shop.test", "http://odoo.test")


def loaded(folder: Path, *rows: dict[str, Any], **environment: str) -> tuple[ShopConnection, ...]:
    file = folder / "connections.yaml"
    file.write_text(yaml.safe_dump({"commerce": list(rows)}), encoding="utf-8")
    variables = {"SYNC_CONNECTIONS_FILE": str(file), **SECRETS, **environment}
    return load_section("commerce", ShopConnection, known=SECTIONS, environment=variables)


def test_given_the_least_then_everything_is_synchronized_in_order_and_nothing_secret_is_shown(tmp_path: Path) -> None:
    [connection] = loaded(tmp_path, row_of(*URLS))
    assert connection.entities == tuple(EntityType)
    assert connection.created_in(EntityType.CUSTOMERS) == {Owner.WOOCOMMERCE, Owner.ODOO}
    assert connection.created_in(EntityType.ORDERS) == {Owner.ODOO}
    assert not connection.created_in(EntityType.INVENTORY)
    assert connection.follows(EntityType.ORDERS)
    assert not [secret for secret in SECRETS.values() if secret in repr(connection)]


def test_given_choices_of_a_shop_then_they_win_over_the_tables() -> None:
    connection = connection_of(
        *URLS,
        store=2,
        entities=["orders", "products", "customers"],
        owners={"products": {"price": "odoo"}},
        create={"products": ["odoo"]},
        deletions={"orders": "report"},
    )
    assert connection.entities == (EntityType.CUSTOMERS, EntityType.PRODUCTS, EntityType.ORDERS)
    assert connection.fields(EntityType.PRODUCTS)["price"].owner is Owner.ODOO
    assert connection.created_in(EntityType.PRODUCTS) == {Owner.ODOO}
    assert (connection.follows(EntityType.ORDERS), connection.store) == (False, "2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("organization"), "organization: is missing"),
        (lambda row: row.update(entities=["orders"]), "orders need customers and products to be synchronized, too"),
        (lambda row: row.update(entities=[]), "is empty; name some of customers, products"),
        (lambda row: row.update(owners={"products": {"size": "odoo"}}), "products have no field size; they have kind"),
        (lambda row: row.update(owners={"orders": {"lines": "odoo"}}), "cannot be written in woocommerce"),
        (
            lambda row: row.update(create={"orders": ["woocommerce"]}),
            "orders cannot be made in woocommerce, only in odoo",
        ),
        (lambda row: row.update(create={"inventory": ["odoo"]}), "inventory cannot be made in odoo, nowhere"),
        (lambda row: row.update(full_at=150), "is not a time of the day such as '02:30' (in quotes)"),
        (lambda row: row.update(interval=420), "must be minutes that divide an hour"),
        (lambda row: row["woocommerce"].update(weight_unit="stone"), "'stone' is no unit of weight"),
        (lambda row: row["woocommerce"].update(consumer_key="ck_1"), "never as the value itself"),
        (lambda row: row["odoo"].update(protocol="jsonrpc"), "protocol jsonrpc needs database and login"),
        (lambda row: row["odoo"].update(key="env:BLANKS"), "has blanks, line breaks or letters that no key has"),
        (lambda row: row["odoo"].update(token="x"), "odoo.token: unknown key"),
    ],
)
def test_given_a_mistake_then_it_is_said_where_it_is_and_what_would_be_right(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    row = row_of(*URLS)
    change(row)
    with pytest.raises(ConfigurationError) as error:
        loaded(tmp_path, row, BLANKS="a b")
    assert said in str(error.value)
    assert "commerce[0] (nordwind)" in str(error.value)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (row_of("http://shop.test", "http://other.test", name="two"), "name the same shop (http://shop.test)"),
        (row_of("http://two.test", "http://odoo.test", name="two"), "have the same store in one Odoo database"),
    ],
)
def test_given_two_shops_that_would_work_against_each_other_then_they_are_refused(
    tmp_path: Path, second: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match="nordwind and two") as error:
        loaded(tmp_path, row_of(*URLS), second)
    assert said in str(error.value)
