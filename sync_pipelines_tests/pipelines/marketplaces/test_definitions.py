"""The pipeline as Dagster sees it: partitions, what a run makes, the schedule, the checks, and how little it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    ResourceDefinition,
    RunRequest,
    build_schedule_context,
    in_process_executor,
)
from sqlalchemy import Engine

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.marketplaces.checks import answers
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.definitions import definitions_of
from sync_pipelines.pipelines.marketplaces.kinds import MARKETPLACES
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.settings import Secret
from sync_pipelines_tests.pipelines.asset_graphs import reviewed_specs, specs_of
from sync_pipelines_tests.pipelines.marketplaces.shops import PulledShop, pulled_shop

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


def never_opened() -> list[MarketplaceConnection]:
    """Return a connection to each kind of marketplace, for definitions that nothing is run of."""
    url, secret = "http://marketplace.test", Secret("s")
    sections: dict[str, dict[str, object]] = {
        "takealot": {"api_key": secret},
        "shopify": {"url": url, "access_token": secret},
        "amazon": {
            "region": "eu",
            "seller_id": "A1",
            "marketplaces": ["AE08WJ6YKNBMC"],
            "client_id": "c",
            "client_secret": secret,
            "refresh_token": secret,
        },
        "woocommerce": {"url": url, "consumer_key": secret, "consumer_secret": secret},
    }
    assert sections.keys() == MARKETPLACES.keys()
    return [
        MarketplaceConnection.model_validate({"name": kind, "organization": "acme", "marketplace": kind, kind: section})
        for kind, section in sections.items()
    ]


@contextmanager
def defined(engine: Engine) -> Iterator[tuple[PulledShop, Definitions]]:
    """A connected shop with a few orders, and what Dagster loads for it."""
    standin = WooCommerceStandIn.bulk(products=3, customers=2, orders=2)
    with pulled_shop(engine, standin) as shop:
        resources = {"store": engine, "options": RunOptions()}
        yield (
            shop,
            Definitions.merge(
                definitions_of([shop.connection]), Definitions(resources=resources, executor=in_process_executor)
            ),
        )


def materialized(result: ExecuteInProcessResult) -> set[tuple[AssetKey, str]]:
    return {
        (event.asset_key, str(event.partition))
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def test_a_cycle_is_one_run_that_makes_todays_partitions_in_few_events(
    engine: Engine, instance: DagsterInstance
) -> None:
    with defined(engine) as (shop, definitions):
        result = definitions.resolve_job_def("marketplaces_cycle").execute_in_process(instance=instance)
    today = f"acme-shop|{datetime.now(UTC).date()}"
    assert result.success
    assert materialized(result) == {
        (AssetKey(["marketplaces", "woocommerce", "orders"]), today),
        (AssetKey(["marketplaces", "woocommerce", "products"]), today),
    }
    assert len(instance.all_logs(result.run_id)) < 30
    assert result.output_for_node("marketplaces__cycle")["successfulConnections"] == 1
    assert len(shop.statuses()) == 2


def test_a_run_whose_only_connection_failed_is_a_failed_run(engine: Engine, instance: DagsterInstance) -> None:
    with defined(engine) as (shop, definitions):
        shop.standin.faults.add("status", status=401, body="{}", content_type="application/json")
        job = definitions.resolve_job_def("marketplaces_cycle")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert shop.state.status == "expired"


def test_days_of_an_outage_are_read_in_one_run_which_leaves_the_watermark_to_today(
    engine: Engine, instance: DagsterInstance
) -> None:
    with defined(engine) as (shop, definitions):
        now = datetime.now(UTC)
        first, last = (f"acme-shop|{(now - timedelta(days=days)).date()}" for days in (6, 1))
        job = definitions.resolve_job_def("marketplaces_woocommerce")
        result = job.execute_in_process(instance=instance, tags={START: first, END: last}, asset_selection=[_ORDERS])
    days = {partition for _, partition in materialized(result)}
    assert result.success
    assert len(days) == 6
    assert shop.rows("SELECT state FROM sync.marketplace_stream WHERE state IS NOT NULL") == []


def test_the_schedule_starts_a_cycle_every_15_minutes_unless_one_is_under_way(engine: Engine, tmp_path: Path) -> None:
    with defined(engine) as (_, definitions), DagsterInstance.local_temp(str(tmp_path)) as instance:
        schedule = definitions.resolve_schedule_def("marketplaces_cycle_schedule")
        context = build_schedule_context(instance=instance)
        tick = schedule.evaluate_tick(context)
        assert schedule.cron_schedule == "*/15 * * * *"
        assert [type(request) for request in tick.run_requests or ()] == [RunRequest]
        instance.create_run_for_job(definitions.resolve_job_def("marketplaces_cycle"))
        assert "under way" in str(schedule.evaluate_tick(context).skip_message)


def test_checks_answer_for_every_connection_of_a_kind(engine: Engine) -> None:
    with defined(engine) as (shop, _):
        before = {(one.asset_key, one.check_name): one.passed for one in _answers(shop, datetime.now(UTC))}
        shop.cycle()
        now = datetime.now(UTC)
        after = {(one.asset_key, one.check_name): one.passed for one in _answers(shop, now)}
        late = {(one.asset_key, one.check_name): one.passed for one in _answers(shop, now + timedelta(hours=1))}
    assert not before[_ORDERS, "freshness"]
    assert all(after.values())
    assert {name for (_, name), passed in late.items() if not passed} == {"freshness", "watermark_lag"}


def test_the_asset_graph_of_every_kind_is_as_it_was() -> None:
    resources = {"store": ResourceDefinition.none_resource(), "options": RunOptions()}
    definitions = Definitions.merge(definitions_of(never_opened()), Definitions(resources=resources))
    assert specs_of(definitions) == reviewed_specs(Path(__file__))


def test_no_connections_are_no_definitions() -> None:
    assert not list(definitions_of([]).jobs or ())


_ORDERS = AssetKey(["marketplaces", "woocommerce", "orders"])


def _answers(shop: PulledShop, now: datetime):  # type: ignore[no-untyped-def]  # Dagster's generic result
    return list(answers(shop.engine, "woocommerce", [shop.connection], now))
