"""Chain events through Dagster: the sensor that follows the chain, the asset that reads windows, and what is owed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import cast

from dagster import DagsterInstance

from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.event_assets import WINDOWS
from sync_pipelines.pipelines.offerings.windows import windows_over
from sync_pipelines_tests.end_to_end.services import wait_for
from sync_pipelines_tests.pipelines.offerings.dagster_runs import checks, defined, materialized, requests, run
from sync_pipelines_tests.pipelines.offerings.market import CHAIN_ID, Market


def test_given_changes_on_the_chain_then_the_sensor_registers_windows_and_names_the_offerings(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer(name="Before")
    assert run(market, instance).success
    definitions = defined(market, chain={"window": 10})
    assert requests(definitions, "chain_events", market, instance) == []  # the first look only takes its place
    height = market.chain.update_offering(offering_id, {"name": "After"})
    market.chain.count_order(offering_id)

    (asked,) = requests(definitions, "chain_events", market, instance)

    assert asked.run_config == {"ops": {"offerings__chain_events": {"config": {"keys": [offering_id]}}}}
    (window,) = windows_over(CHAIN_ID, height, height, 10)
    assert asked.tags["dagster/asset_partition_range_start"] == window.key


def test_given_quiet_blocks_then_the_sensor_moves_on_without_a_run(market: Market, instance: DagsterInstance) -> None:
    definitions = defined(market)
    requests(definitions, "chain_events", market, instance)
    for _ in range(5):
        market.chain.empty_block()

    assert requests(definitions, "chain_events", market, instance) == []

    with market.engine.begin() as connection:
        position = events.position(connection, CHAIN_ID)
    assert position is not None
    assert position.height == market.chain.height


def test_given_a_window_then_its_asset_keeps_the_events_and_reconciles_what_they_name(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer(name="From an event")
    key = windows_over(CHAIN_ID, 1, 1, 100)[0].key
    instance.add_dynamic_partitions(cast(str, WINDOWS.name), [key])
    job = defined(market).resolve_job_def("offerings_events")

    result = job.execute_in_process(instance=instance, partition_key=key)

    assert materialized(result)["chain_events"]["looked_at"] == 1
    assert market.offering(offering_id).name == "From an event"
    assert market.rows("SELECT offering_id FROM sync.chain_event") == [(offering_id,)]
    assert market.metric("offering_sync_events_received") == 1
    assert market.metric("offering_sync_events_processed") == 1


def test_given_a_gap_in_the_count_of_events_then_everything_is_reconciled(
    market: Market, instance: DagsterInstance
) -> None:
    market.offer(name="Seen")
    hidden = market.offer(name="Not told of")
    market.chain.skip_event_sequence()
    market.chain.count_order(hidden)
    key = windows_over(CHAIN_ID, 1, 1, 100)[0].key
    instance.add_dynamic_partitions(cast(str, WINDOWS.name), [key])

    job = defined(market).resolve_job_def("offerings_events")

    result = job.execute_in_process(instance=instance, partition_key=key)

    assert materialized(result)["chain_events"]["full_reconciles"] == 1
    assert "missing in the chain's count" in materialized(result)["chain_events"]["missed"]
    assert market.offering(hidden).state == "Active"


def test_given_waldur_is_down_for_an_event_then_the_connection_is_owed_a_reconcile_until_it_had_one(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer(name="Before")
    assert run(market, instance).success
    key = windows_over(CHAIN_ID, 1, 1, 100)[0].key
    instance.add_dynamic_partitions(cast(str, WINDOWS.name), [key])
    market.chain.update_offering(offering_id, {"name": "After"})
    definitions = defined(market)
    assert requests(definitions, "offerings_retries", market, instance) == []
    down = market.waldur.faults.add("status", path="provider-offerings", status=503, body="down")

    job = definitions.resolve_job_def("offerings_events")
    failed = job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)

    assert not failed.success
    market.waldur.faults.remove(down)
    market.let_time_pass()
    (asked,) = requests(definitions, "offerings_retries", market, instance)
    assert (asked.partition_key, asked.run_config) == ("nordlys", {})
    assert run(market, instance).success
    assert market.offering(offering_id).name == "After"
    assert requests(definitions, "offerings_retries", market, instance) == []


def test_given_an_event_that_was_looked_at_then_nothing_is_owed(market: Market, instance: DagsterInstance) -> None:
    market.offer(name="VM")
    key = windows_over(CHAIN_ID, 1, 1, 100)[0].key
    instance.add_dynamic_partitions(cast(str, WINDOWS.name), [key])
    definitions = defined(market)

    assert (
        definitions.resolve_job_def("offerings_events").execute_in_process(instance=instance, partition_key=key).success
    )

    assert requests(definitions, "offerings_retries", market, instance) == []
    assert market.rows("SELECT * FROM sync.owed_reconcile") == []


def test_given_a_selective_run_in_between_then_the_next_full_plan_still_rests_on_full_snapshots(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer()
    assert run(market, instance).success
    other = market.offer(name="Another")
    assert run(market, instance, {"mode": "plan"}).success
    market.reconcile(keys=[offering_id])

    snapshots = market.rows("SELECT id FROM sync.snapshot WHERE NOT selective ORDER BY id DESC LIMIT 2")
    result = run(market, instance)

    assert result.success
    assert checks(result)["applied.converged"]
    assert market.offering(other).state == "Active"
    rests_on = market.rows("SELECT left_snapshot, right_snapshot FROM sync.plan ORDER BY id DESC LIMIT 1")[0]
    assert min(rests_on) > max(row[0] for row in snapshots)
    assert market.rows(f"SELECT count(*) FROM sync.snapshot WHERE id IN {tuple(rests_on)} AND selective") == [(0,)]


def test_given_a_hint_over_the_websocket_while_the_sensor_waits_then_it_looks_once_more(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer(name="Before")
    assert run(market, instance).success
    definitions = defined(market, chain={"wake_up_seconds": 15})
    with ThreadPoolExecutor() as pool:
        assert requests(defined(market), "chain_events", market, instance) == []
        tick = pool.submit(requests, definitions, "chain_events", market, instance)
        wait_for(lambda: market.chain_app.state.sockets.subscriptions, seconds=10, what="the sensor listens")
        market.chain.update_offering(offering_id, {"name": "After"})
        (asked,) = tick.result()

    assert asked.run_config == {"ops": {"offerings__chain_events": {"config": {"keys": [offering_id]}}}}
