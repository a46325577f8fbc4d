"""The pipeline as Dagster runs it: run options, blocking checks, schedules and sensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from dagster import (
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    RunRequest,
    build_run_status_sensor_context,
    build_schedule_context,
    build_sensor_context,
    in_process_executor,
)
from sqlalchemy import text

from sync_pipelines.orchestration.automation import cron_of
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.connection import INTERVALS
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines.pipelines.offerings.event_assets import WINDOWS
from sync_pipelines.pipelines.offerings.windows import windows_over
from sync_pipelines.store import audit
from sync_pipelines_tests.pipelines.offerings.market import CHAIN_ID, Market, price_list

SPECS = Path(__file__).parent / "asset_specs.json"
KEEP = {"guard": {"ignore_up_to": 0}}


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


def defined(market: Market, **changes: Any) -> Definitions:
    return Definitions.merge(
        definitions_of((market.connection(**changes),)),
        Definitions(resources={"store": market.engine, "options": RunOptions()}, executor=in_process_executor),
    )


def run(
    market: Market,
    instance: DagsterInstance,
    options: Mapping[str, Any] | None = None,
    *,
    connection: Mapping[str, Any] | None = None,
) -> ExecuteInProcessResult:
    job = defined(market, **(connection or {})).resolve_job_def("offerings_reconcile")
    return job.execute_in_process(
        instance=instance,
        partition_key="nordlys",
        run_config={"resources": {"options": {"config": dict(options or {})}}},
        raise_on_error=False,
    )


def checks(result: ExecuteInProcessResult) -> dict[str, bool]:
    return {
        f"{check.asset_key.path[-1]}.{check.check_name}": check.passed for check in result.get_asset_check_evaluations()
    }


def materialized(result: ExecuteInProcessResult) -> dict[str, Mapping[str, Any]]:
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def reason(result: ExecuteInProcessResult) -> str:
    failure = next(event for event in result.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    assert error is not None
    return error.message


def test_the_graph_is_the_reviewed_one(market: Market) -> None:
    """The file shows in review what a change does to the graph; write it anew with the new graph when it is meant."""
    graph = defined(market).resolve_asset_graph()
    specs = {
        key.to_user_string(): {
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "group": graph.get(key).group_name,
            "kinds": sorted(graph.get(key).kinds),
            "owners": list(graph.get(key).owners),
            "materializable": graph.get(key).is_materializable,
            "partitions": type(graph.get(key).partitions_def).__name__,
            "checks": sorted(check.name for check in graph.get(key).check_keys),
        }
        for key in sorted(graph.get_all_asset_keys())
    }
    assert specs == json.loads(SPECS.read_text(encoding="utf-8"))


def test_given_a_first_run_then_the_numbers_and_the_checks_say_what_happened(
    market: Market, instance: DagsterInstance
) -> None:
    market.offer(name="VM", prices=price_list({"cpu/hour": "50000"}))

    result = run(market, instance)

    assert result.success
    shown = materialized(result)
    assert shown["chain_snapshot"]["records"] == 1
    assert shown["plan"]["create"] == 1
    assert "| create |" in shown["plan"]["preview"]
    assert shown["applied"]["created"] == 1
    assert shown["applied"]["records_synced"] == 1
    assert checks(result) == {
        "chain_snapshot.sealed": True,
        "waldur_snapshot.sealed": True,
        "plan.guard": True,
        "plan.drift": True,
        "plan.orphans": True,
        "plan.conflicts": True,
        "applied.converged": True,
        "applied.dead_letters": True,
    }


def test_given_plan_mode_then_the_plan_is_shown_and_nothing_is_changed(
    market: Market, instance: DagsterInstance
) -> None:
    market.offer()

    result = run(market, instance, {"mode": "plan"})

    assert result.success
    assert materialized(result)["plan"]["create"] == 1
    assert "applied" not in materialized(result)
    assert market.writes == []


def test_given_keys_then_only_these_records_are_reconciled(market: Market, instance: DagsterInstance) -> None:
    wanted, other = market.offer(name="Wanted"), market.offer(name="Other")

    assert run(market, instance, {"keys": [wanted]}).success

    assert [row.backend_id for row in market.waldur.world.offerings.values()] == [wanted]
    assert run(market, instance).success
    assert market.offering(other).state == "Active"


def test_given_a_held_plan_then_only_its_approval_lets_it_through_and_only_once(
    market: Market, instance: DagsterInstance
) -> None:
    offered = [market.offer(name=f"VM {number}") for number in range(3)]
    assert run(market, instance, connection=KEEP).success
    for offering_id in offered[:2]:
        market.chain.terminate_offering(offering_id)

    held = run(market, instance, connection=KEEP)

    assert not held.success
    assert not checks(held)["plan.guard"]
    assert "applied" not in materialized(held)
    assert [market.offering(offering_id).state for offering_id in offered] == ["Active"] * 3
    digits = materialized(held)["plan"]["plan"][:12]

    approved = run(market, instance, {"approve": digits}, connection=KEEP)

    assert approved.success, reason(approved)
    assert [market.offering(offering_id).state for offering_id in offered] == ["Archived", "Archived", "Active"]
    again = run(market, instance, {"approve": digits}, connection=KEEP)
    assert "was applied already" in reason(again)


def test_given_an_approval_and_plan_mode_together_then_the_run_says_that_this_cannot_be_meant(
    market: Market, instance: DagsterInstance
) -> None:
    assert "exclude each other" in reason(run(market, instance, {"approve": "0" * 12, "mode": "plan"}))
    assert market.writes == []


def test_given_a_listing_that_ends_early_then_nothing_is_planned(market: Market, instance: DagsterInstance) -> None:
    market.offer(name="VM")
    assert run(market, instance).success
    writes = len(market.writes)
    market.offer(name="Another VM")
    # After the three requests of the canary: no row on a page that is said to have one.
    market.waldur.faults.add(
        "status",
        method="GET",
        path="provider-offerings/$",
        skip=3,
        times=1,
        status=200,
        body="[]",
        content_type="application/json",
        headers={"X-Result-Count": "1"},
    )

    result = run(market, instance)

    assert not result.success
    assert not checks(result)["waldur_snapshot.sealed"]
    assert "plan" not in materialized(result)
    assert len(market.writes) == writes


def test_given_a_source_that_is_suddenly_empty_then_the_plan_is_held_with_its_numbers(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer()
    assert run(market, instance, connection=KEEP).success
    market.chain.delete_offering(offering_id)

    result = run(market, instance, connection=KEEP)

    assert not checks(result)["chain_snapshot.sealed"]
    assert not checks(result)["plan.guard"]
    assert materialized(result)["plan"]["retire"] == 1
    assert "the listing is empty, the last one had 1 records" in materialized(result)["plan"]["held_because"]
    assert market.offering(offering_id).state == "Active"


def test_given_a_due_retry_then_the_sensor_asks_once_for_a_run_with_its_key(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer()
    market.waldur.faults.add("status", method="POST", path="provider-offerings/$", status=503, times=1, body="busy")
    assert run(market, instance).success
    definitions = defined(market)

    assert requests(definitions, "offerings_retries", market, instance) == []
    market.let_time_pass()
    (asked,) = requests(definitions, "offerings_retries", market, instance)
    (same,) = requests(definitions, "offerings_retries", market, instance)

    assert asked.partition_key == "nordlys"
    assert asked.run_config == {"resources": {"options": {"config": {"keys": [offering_id]}}}}
    assert asked.run_key == same.run_key
    assert asked.tags[SCOPE_TAG] == "offerings/nordlys"
    assert run(market, instance, {"keys": [offering_id]}).success
    assert market.offering(offering_id).state == "Active"


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


def test_given_a_tick_then_the_schedule_asks_for_every_connection(market: Market, tmp_path: Path) -> None:
    repository = defined(market).get_repository_def()
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC),
            repository_def=repository,
        )
        asked = repository.get_schedule_def("offerings_every_300_s").evaluate_tick(context).run_requests

    assert [(request.partition_key, request.tags[SCOPE_TAG]) for request in asked or ()] == [
        ("nordlys", "offerings/nordlys")
    ]


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_has_a_cron_schedule(interval: int) -> None:
    assert len(cron_of(interval).split()) == 5


def test_given_a_failed_run_then_its_reason_is_in_the_audit_log(market: Market, instance: DagsterInstance) -> None:
    definitions = defined(market, chain={"chain_id": "another-chain"})
    job = definitions.resolve_job_def("offerings_reconcile")
    result = job.execute_in_process(instance=instance, partition_key="nordlys", raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_failure and not event.is_step_event]
    sensor = cast(Any, definitions.get_repository_def().get_sensor_def("offerings_failed_runs"))
    context = build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=failure,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"store": market.engine},
        partition_key="nordlys",
    ).for_run_failure()

    sensor(context)

    with market.engine.begin() as connection:
        entries = [item.entry for item in audit.entries(connection, "offerings")]
    assert entries[-1]["action"] == "run_failed"
    assert "the node is on chain 'virtengine-demo-1', expected 'another-chain'" in entries[-1]["error"]


def test_given_a_connection_nobody_reconciled_then_freshness_says_so(market: Market, instance: DagsterInstance) -> None:
    job = defined(market).resolve_job_def("offerings_health")
    late = job.execute_in_process(instance=instance)
    assert run(market, instance).success
    fresh = job.execute_in_process(instance=instance)

    assert checks(late) == {"applied.freshness": False, "applied.audit_chain": True}
    assert checks(fresh) == {"applied.freshness": True, "applied.audit_chain": True}


def test_given_an_altered_audit_entry_then_the_check_fails(market: Market, instance: DagsterInstance) -> None:
    market.offer()
    assert run(market, instance).success
    with market.engine.begin() as connection:
        connection.execute(text("UPDATE sync.audit SET entry = entry || '{\"success\": false}' WHERE number = 1"))

    result = (
        defined(market).resolve_job_def("offerings_health").execute_in_process(instance=instance, raise_on_error=False)
    )

    assert not checks(result)["applied.audit_chain"]


def test_given_no_connection_then_nothing_is_shown() -> None:
    assert not definitions_of(()).resolve_asset_graph().get_all_asset_keys()


def requests(definitions: Definitions, name: str, market: Market, instance: DagsterInstance) -> list[RunRequest]:
    """Return what one tick of a sensor asks for, keeping its cursor and registering its partitions."""
    repository = definitions.get_repository_def()
    context = build_sensor_context(
        instance=instance,
        cursor=instance.daemon_cursor_storage.get_cursor_values({name}).get(name),
        resources={"store": market.engine},
        repository_def=repository,
    )
    data = repository.get_sensor_def(name).evaluate_tick(context)
    if data.cursor:
        instance.daemon_cursor_storage.set_cursor_values({name: data.cursor})
    for change in data.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(change.partitions_def_name, change.partition_keys)
    return list(data.run_requests or ())
