"""The checks that list records: what each finds, and that the others find nothing then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.marketplaces import Order, Product, Stream
from sync_pipelines.pipelines.marketplaces.checks import SEARCHES, answers
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import register
from sync_pipelines.store.marketplaces.pages import store_orders, store_products
from sync_pipelines_tests.pipelines.marketplaces.orders import item, order, page, product
from sync_pipelines_tests.pipelines.marketplaces.takealot_accounts import connected

PRODUCT = product("P-1", sku="SKU-1")
ORDER = order("1", item("1", "10.00"))
ALIKE = product("P-2", sku="SKU-1")

Stored = Mapping[str, Sequence[Order | Product]]


@dataclass(frozen=True)
class Case:
    """Records by connection, and what is found of them.

    Attributes:
        organizations: of the connections that are not ``acme``'s.
        found: stream, check and the rows of its table.
    """

    stored: Stored
    found: tuple[Stream, str, list[str]] | None = None
    organizations: Mapping[str, str] = field(default_factory=dict)


GOOD = Case({"one": [ORDER, PRODUCT]})
CASES = {
    "a total that is not the sum of its lines": Case(
        {"one": [order("1", item("1", "10.00"), total=Decimal("10.01")), PRODUCT]},
        (Stream.ORDERS, "totals", ["| one | 1 |"]),
    ),
    "an order of one account that is connected twice": Case(
        {"one": [ORDER, PRODUCT], "two": [ORDER, PRODUCT]},
        (Stream.ORDERS, "duplicates", ["| one | 1 |", "| two | 1 |"]),
    ),
    "a line that names no product": Case(
        {"one": [order("1", item("1", "10.00", product_key=None)), PRODUCT]},
        (Stream.ORDERS, "items_without_product", ["| one | 1/1 |"]),
    ),
    "a line of a product that was never seen": Case(
        {"one": [order("1", item("1", "10.00"), item("2", "5.00")), PRODUCT]},
        (Stream.ORDERS, "items_without_product", ["| one | 1/2 |"]),
    ),
    "a line of a variant that was never seen": Case(
        {"one": [order("1", item("1", "10.00", variant_key="V-9")), product("P-1", "V-1", sku="SKU-1")]},
        (Stream.ORDERS, "items_without_product", ["| one | 1/1 |"]),
    ),
    "a line of a product of another account": Case(
        {"one": [ORDER], "two": [PRODUCT]},
        (Stream.ORDERS, "items_without_product", ["| one | 1/1 |"]),
    ),
    "two products with one sku": Case(
        {"one": [ORDER, PRODUCT, ALIKE]},
        (Stream.PRODUCTS, "duplicates", ["| one | SKU-1 |"]),
    ),
    "all as it should be": GOOD,
    "a total with shipping, and lines that add up to what is told of them": Case(
        {"one": [order("1", item("1", "10.00"), total=Decimal("15.00"), items_total=Decimal("10.00")), PRODUCT]}
    ),
    "an order whose amounts are not known yet": Case(
        {"one": [order("1", replace(item("1", "10.00"), line_total=None), total=Decimal("10.00")), PRODUCT]}
    ),
    "the same number of an order at another time": Case(
        {
            "one": [ORDER, PRODUCT],
            "two": [replace(ORDER, ordered_at=datetime(2026, 1, 1, tzinfo=UTC)), PRODUCT],
        }
    ),
    "the same order of another organization": Case(
        {"one": [ORDER, PRODUCT], "two": [ORDER, PRODUCT]}, organizations={"two": "other"}
    ),
    "the same sku in two accounts": Case({"one": [ORDER, PRODUCT], "two": [ALIKE]}),
    "two products without a sku": Case({"one": [ORDER, PRODUCT, *(product(key, sku=None) for key in "ab")]}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_check_that_lists_records_finds_what_it_promises_and_nothing_else(engine: Engine, case: Case) -> None:
    connections = [connection_of(name, case.organizations.get(name, "acme")) for name in case.stored]
    keep(engine, connections, case.stored)

    found = tables(engine, connections)

    expected = {place: ["none"] for place in SEARCHES}
    if case.found is not None:
        stream, name, rows = case.found
        expected[stream, name] = ["| connection | record |", "|---|---|", *rows]
    assert found == expected


def test_what_is_deleted_at_the_marketplace_is_not_found_any_more(engine: Engine) -> None:
    connections = [connection_of("one"), connection_of("two")]
    numbers = keep(engine, connections, {"one": [ORDER, PRODUCT, ALIKE], "two": [ORDER, PRODUCT]})
    with engine.begin() as transaction:
        store_products(transaction, numbers["one"], [page(gone=("P-2",))])
    with engine.begin() as transaction:
        store_orders(transaction, numbers["two"], [page(gone=("1",))])

    assert tables(engine, connections) == {place: ["none"] for place in SEARCHES}


def connection_of(name: str, organization: str = "acme") -> MarketplaceConnection:
    return connected("http://takealot.test", name).model_copy(update={"organization": organization})


def keep(engine: Engine, connections: Sequence[MarketplaceConnection], stored: Stored) -> dict[str, int]:
    """Store records of connections; gives the connections' numbers."""
    numbers = register(engine, connections)
    for name, records in stored.items():
        orders = [record for record in records if isinstance(record, Order)]
        products = [record for record in records if isinstance(record, Product)]
        with engine.begin() as transaction:
            store_orders(transaction, numbers[name], [page(*orders)])
            store_products(transaction, numbers[name], [page(*products)])
    return numbers


def tables(engine: Engine, connections: Sequence[MarketplaceConnection]) -> dict[tuple[Stream, str], list[str]]:
    """Return what each check that lists records shows; a check that shows something must have failed."""
    found = {}
    for answer in answers(engine, "takealot", connections, datetime.now(UTC) + timedelta(days=1)):
        place = (Stream(answer.asset_key.path[-1]), str(answer.check_name)) if answer.asset_key else None
        if place in SEARCHES:
            found[place] = str(answer.metadata["records"].value).splitlines()
            assert answer.passed == (found[place] == ["none"])
    return found
