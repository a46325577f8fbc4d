"""The pipeline as Dagster sees it, and what becomes of the demo's shop in real runs against both stand-ins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import Definitions, ExecuteInProcessResult, ResourceDefinition
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.commerce.definitions import definitions_of
from sync_pipelines.pipelines.commerce.settling import settle
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_database
from sync_pipelines_tests.pipelines.asset_graphs import reviewed_specs, specs_of
from sync_pipelines_tests.pipelines.commerce.shop_runs import (
    NAME,
    ServedShop,
    checks,
    connection_of,
    materialized,
    reason,
    served,
    told,
)

MOST_EVENTS = 35
"""Of a run of one entity. Each further one adds its five assets."""


def idle(*connections: ShopConnection) -> Definitions:
    """Return the definitions of connections that are never opened."""
    resources = {"store": ResourceDefinition.none_resource(), "options": RunOptions()}
    return Definitions.merge(definitions_of(connections), Definitions(resources=resources))


def test_the_graph_is_the_reviewed_one() -> None:
    assert specs_of(idle(connection_of("http://shop.test", "http://odoo.test"))) == reviewed_specs(Path(__file__))


def test_several_shops_have_their_schedules_and_partitions_in_order_and_without_any_there_is_nothing_to_show() -> None:
    definitions = idle(
        connection_of("http://one.test", "http://odoo.test"),
        connection_of(
            "http://two.test",
            "http://odoo.test",
            name="eu-west",
            store=2,
            entities=["products", "inventory"],
            interval=0,
        ),
    )

    schedules = {one.name for one in definitions.schedules or ()}
    assert schedules == {
        "commerce_nordwind_every_300_s",
        "commerce_nordwind_full_daily",
        "commerce_eu_west_full_daily",
        "commerce_health_every_15_min",
    }
    job = definitions.resolve_job_def("commerce_sync")
    assert job.partitions_def is not None
    names = ["customers", "products", "inventory", "orders", "payments"]
    assert job.partitions_def.get_partition_keys() == [
        *(f"nordwind.{name}" for name in names),
        "eu-west.products",
        "eu-west.inventory",
    ]
    assert list(definitions_of(()).assets or []) == []


@dataclass
class Demo:
    """The demo's shop after two runs."""

    shop: ServedShop
    first: ExecuteInProcessResult
    second: ExecuteInProcessResult
    writes: tuple[int, int]
    after_first: list[Conflict]

    def conflicts(self) -> list[Conflict]:
        """Return the open conflicts."""
        with self.shop.engine.begin() as store:
            return open_conflicts(store, self.shop.connection)


@pytest.fixture(scope="module")
def demo(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Demo]:
    """The demo's shop, synchronized twice. New products go to Odoo only: the shop is what the demo is about."""
    with fresh_database(postgres_server, migrated_template) as name:
        engine = connect_engine(postgres_server.url(name))
        stand_ins = WooCommerceStandIn.demo(), OdooStandIn.demo()
        with served(engine, *stand_ins, create={"products": ["odoo"]}, max_retries=1) as shop:
            first = shop.synchronized()
            before = shop.writes
            with engine.begin() as store:
                found = open_conflicts(store, shop.connection)
            second = shop.synchronized()
            yield Demo(shop, first, second, (before, shop.writes - before), found)
        engine.dispose()


@pytest.mark.long
def test_given_the_demo_then_a_run_synchronizes_every_entity_in_its_order(demo: Demo) -> None:
    assert demo.first.success, reason(demo.first)
    made = materialized(demo.first)
    assert list(made) == ["customers", "products", "inventory", "orders", "payments"]
    assert all(len(assets) == 5 for assets in made.values())
    assert made["customers"]["woocommerce_snapshot"]["records"] == 151
    assert made["orders"]["applied"]["odoo_created"] > 0
    assert "| DataMismatch | " in made["products"]["conflicts"]["table"]
    assert "**Plan `" in made["orders"]["plan"]["odoo_preview"]


def test_given_the_demo_then_what_is_clear_becomes_consistent(demo: Demo) -> None:
    partners, orders = demo.shop.odoo.world.rows("res.partner"), demo.shop.odoo.world.rows("sale.order")
    emails = Counter(row["email_normalized"] for row in partners)
    missing_customers = {"farrow.kestrelmann5@mail.example.test", "oda.yarrowby14@mail.example.test"}
    assert {emails[email] for email in missing_customers} == {1}
    # The orders that were missing only because their customers and products were.
    references = Counter(row["client_order_ref"] for row in orders)
    assert sum(count for reference, count in references.items() if reference) >= 120
    stock = {row.get("sku"): row.get("stock_quantity") for row in _products(demo)}
    assert (stock["NW-TA-1000"], stock["NW-ST-1037"], stock["NW-KI-1173"]) == (8, 7, 0)
    # Customers that the shop lacked.
    assert {f"fair{number}@expo.example.test" for number in (2, 3, 4)} <= {
        customer.email for customer in demo.shop.shop.world.customers.values()
    }


def _products(demo: Demo) -> list[dict[str, object]]:
    return [dict(product.values) for product in demo.shop.shop.world.products.values()]


def test_given_the_demo_then_what_is_not_clear_waits_as_conflicts(demo: Demo) -> None:
    found = demo.conflicts()
    kinds = Counter((one.entity, one.kind) for one in found)
    assert kinds["customers", Kind.DATA_MISMATCH] == 11
    assert kinds["customers", Kind.DUPLICATE_KEY] == 4
    assert kinds["customers", Kind.VALIDATION_ERROR] == 3
    # One of them is a product whose barcode another one has.
    assert kinds["products", Kind.DUPLICATE_KEY] == 4
    assert kinds["orders", Kind.DUPLICATE_KEY] == 2
    prices = {one.item for one in found if "price" in one.fields}
    assert {"NW-TA-1029", "NW-KI-1049", "NW-PA-1050", "NV-101-01"} <= prices
    passed = checks(demo.first)
    assert passed["conflicts.conflicts_open"] is passed["conflicts.duplicate_keys"] is False
    assert passed["woocommerce_snapshot.sealed"] is passed["odoo_snapshot.sealed"] is passed["plan.guard"] is True
    assert "| WC-1-311 | " in told(demo.first, "conflicts.duplicate_keys")


def test_given_the_demo_then_the_checks_tell_which_records_do_not_agree_and_what_to_do(demo: Demo) -> None:
    passed = checks(demo.second)
    assert (passed["applied.totals_agree"], passed["applied.stock_agrees"], passed["applied.drift"]) == (
        False,
        True,
        True,
    )
    totals = told(demo.second, "applied.totals_agree")
    assert "18250.57 EUR in the shop and 18253.85 in Odoo; 6 orders do not agree" in totals
    assert "2 orders of Odoo have its reference; cancel or rename all but one" in totals
    letters = told(demo.second, "applied.dead_letters")
    assert "then 'sync-pipelines commerce retry nordwind'" in letters
    assert "| odoo | products | NW-LI-1066 | dead_lettered | " in letters


def test_given_a_second_run_then_it_asks_for_what_moved_and_writes_nothing(demo: Demo) -> None:
    assert demo.second.success, reason(demo.second)
    before, after = demo.writes
    assert (before > 50, after) == (True, 0)
    applied = materialized(demo.second)
    requests = Counter[str]()
    for assets in applied.values():
        requests.update({peer: assets["applied"][f"requests_to_{peer}"] for peer in ("woocommerce", "odoo")})
    assert requests["woocommerce"] < 30
    assert requests["odoo"] < 60
    assert checks(demo.second)["applied.converged"] is True
    assert {one.id for one in demo.conflicts()} == {one.id for one in demo.after_first}


def test_given_a_settled_conflict_then_the_next_run_carries_it_out_and_it_stays_settled(demo: Demo) -> None:
    conflict = next(one for one in demo.conflicts() if one.item == "NW-LI-1074")
    assert conflict.fields["name"].left == "Oak lamp"
    settle(
        demo.shop.engine, [demo.shop.connection], conflict.id, Resolution.CUSTOM, "ada", {"name": "Oak lamp & shade"}
    )

    result = demo.shop.synchronized(partition="products")

    assert result.success, reason(result)
    assert len(demo.shop.instance.all_logs(result.run_id)) <= MOST_EVENTS
    assert conflict.id not in {one.id for one in demo.conflicts()}
    [variant] = demo.shop.odoo.world.find("product.product", ["default_code", "=", "NW-LI-1074"])
    assert demo.shop.odoo.world.read("product.product", variant, "name")["name"] == "Oak lamp & shade"
    assert "Oak lamp &amp; shade" in {product.get("name") for product in _products(demo)}
    again = demo.shop.synchronized(partition="products")
    assert materialized(again)["products"]["applied"]["woocommerce_updated"] == 0
    assert conflict.id not in {one.id for one in demo.conflicts()}


@pytest.fixture
def small(engine: Engine) -> Iterator[ServedShop]:
    """Ten customers of a shop, and an Odoo that knows none of them."""
    shop = WooCommerceStandIn.bulk(products=0, customers=10)
    with served(engine, shop, OdooStandIn(), entities=["customers"]) as one:
        yield one


def test_given_plan_mode_then_it_is_told_what_would_be_done_and_nothing_is_written(small: ServedShop) -> None:
    result = small.synchronized(mode="plan")

    assert result.success, reason(result)
    said = materialized(result)["customers"]
    assert (said["plan"]["odoo_create"], said["plan"]["new"], "applied" in said) == (10, 10, False)
    assert small.writes == 0


def test_given_an_order_that_waited_then_it_is_looked_at_again_once_its_customer_and_product_are_linked(
    engine: Engine,
) -> None:
    shop, odoo = WooCommerceStandIn.bulk(products=1, customers=1, orders=1), OdooStandIn()
    for code in ("SHIP", "FEE", "MISC"):
        odoo.world.create("product.product", name=code, default_code=code, type="service")
    with served(engine, shop, odoo, entities=["customers", "products", "orders"]) as one:
        assert one.synchronized(mode="plan").success
        assert one.odoo.world.rows("sale.order") == []

        result = one.synchronized()

        # The order itself did not move in the shop since the run that only planned.
        assert result.success, reason(result)
        (order,) = one.odoo.world.rows("sale.order")
        assert order["client_order_ref"] == f"WC-1-{max(shop.world.orders)}"


def test_given_a_refused_key_then_the_run_stops_a_conflict_says_so_and_goes_when_it_is_let_in(
    small: ServedShop,
) -> None:
    small.shop.world.access.revoke(DEMO_KEY.consumer_key)

    refused = small.synchronized()

    assert not refused.success
    with small.engine.begin() as store:
        (conflict,) = open_conflicts(store, small.connection)
    assert (conflict.kind, conflict.item) == (Kind.AUTH_ERROR, "woocommerce")
    small.shop.world.access.add(DEMO_KEY)
    assert small.synchronized().success
    with small.engine.begin() as store:
        assert open_conflicts(store, small.connection) == []


def test_given_many_deletions_then_the_plan_is_held_until_it_is_approved(small: ServedShop) -> None:
    small.synchronized()
    for number in sorted(small.shop.world.customers)[-5:]:
        del small.shop.world.customers[number]

    held = small.synchronized(full=True)

    assert not held.success
    assert "is held" in reason(held)
    assert checks(held)["plan.guard"] is False
    plan = materialized(held)["customers"]["plan"]["odoo_plan"]
    approved = small.synchronized(approve=[plan[:12]])
    assert approved.success, reason(approved)
    assert materialized(approved)["customers"]["applied"]["odoo_retired"] == 5


@pytest.mark.parametrize("retries", [0, 1])
def test_given_a_record_that_a_system_refuses_then_it_stands_as_a_conflict_until_it_is_mended_and_tried_again(
    small: ServedShop, retries: int
) -> None:
    small.changes["max_retries"] = retries
    # Odoo takes such an address, WordPress does not.
    partner = small.odoo.world.create("res.partner", name="Zoë Bloom", email="zoë@mail.example.test")

    result = small.synchronized()

    assert result.success, reason(result)
    with small.engine.begin() as store:
        (conflict,) = open_conflicts(store, small.connection)
    assert (conflict.kind, conflict.item) == (Kind.VALIDATION_ERROR, "zoë@mail.example.test")
    assert conflict.data["reason"].startswith("given up in woocommerce: ")
    assert checks(result)["applied.dead_letters"] is False
    small.odoo.world.write("res.partner", partner, email="zoe@mail.example.test")
    settle(small.engine, [small.connection], conflict.id, Resolution.ACCEPT, "ada")
    assert small.synchronized().success
    with small.engine.begin() as store:
        assert open_conflicts(store, small.connection) == []
    assert "zoe@mail.example.test" in {one.email for one in small.shop.world.customers.values()}


def test_given_a_change_in_odoo_that_the_owner_of_the_field_overrules_then_drift_names_it_until_it_is_written_back(
    small: ServedShop,
) -> None:
    for _ in range(2):
        small.synchronized()
    first = next(one for one in small.shop.world.customers.values() if one.email.startswith("customer"))
    [partner] = small.odoo.world.find("res.partner", ["email", "=", first.email])
    small.shop.world.edit_customer(first.id, first_name="Mona")
    small.odoo.world.write("res.partner", partner, name="Lisa")

    planned = small.synchronized(mode="plan")

    assert checks(planned)["applied.drift"] is False
    said = told(planned, "applied.drift")
    assert said.startswith("1 records show something else; the next run takes it over or writes it back")
    assert f"| odoo | customers | {first.email} | name |" in said
    assert checks(small.synchronized())["applied.drift"] is True


def test_freshness_tells_which_entity_was_not_synchronized(small: ServedShop) -> None:
    job = small.definitions.resolve_job_def("commerce_health")

    def answer() -> str:
        [check] = job.execute_in_process(instance=small.instance).get_asset_check_evaluations()
        return str(check.description)

    assert answer() == f"not synchronized in time: {NAME}.customers (never)"
    small.synchronized()
    assert answer() == "every shop was synchronized in time"
