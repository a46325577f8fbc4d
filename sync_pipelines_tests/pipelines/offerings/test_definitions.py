"""The pipeline as Dagster runs it: run options, blocking checks, schedules and sensors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    Definitions,
    build_run_status_sensor_context,
    build_schedule_context,
    define_asset_job,
)
from sqlalchemy import text

from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines.store import audit, plans
from sync_pipelines_tests.pipelines.asset_graphs import reviewed_specs, specs_of
from sync_pipelines_tests.pipelines.offerings.dagster_runs import checks, defined, materialized, reason, requests, run
from sync_pipelines_tests.pipelines.offerings.market import Market, price_list

KEEP = {"guard": {"ignore_up_to": 0}}


def test_the_graph_is_the_reviewed_one(market: Market) -> None:
    assert specs_of(defined(market)) == reviewed_specs(Path(__file__))


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


def test_given_the_plan_alone_is_asked_for_then_both_sides_are_read_and_nothing_is_changed(
    market: Market, instance: DagsterInstance
) -> None:
    market.offer()
    plan = AssetKey(["offerings", "plan"])
    drift = AssetCheckKey(plan, "drift")
    job = define_asset_job("some", AssetSelection.assets(plan).without_checks() | AssetSelection.checks(drift))
    definitions = Definitions.merge(defined(market), Definitions(jobs=[job]))

    result = definitions.resolve_job_def("some").execute_in_process(instance=instance, partition_key="nordlys")

    assert materialized(result).keys() == {"plan"}
    assert checks(result)["plan.drift"]
    assert market.writes == []


def test_given_an_approval_without_the_asset_that_applies_then_the_run_says_that_this_cannot_be_meant(
    market: Market, instance: DagsterInstance
) -> None:
    job = define_asset_job("some", AssetSelection.assets(["offerings", "plan"]).without_checks())
    definitions = Definitions.merge(defined(market), Definitions(jobs=[job]))

    result = definitions.resolve_job_def("some").execute_in_process(
        instance=instance,
        partition_key="nordlys",
        run_config={"resources": {"options": {"config": {"approve": "0" * 12}}}},
        raise_on_error=False,
    )

    assert "'applied' is not part of this run" in reason(result)


def test_given_a_check_alone_without_a_connection_then_the_run_says_what_to_launch(
    market: Market, instance: DagsterInstance
) -> None:
    guard = AssetCheckKey(AssetKey(["offerings", "plan"]), "guard")
    job = define_asset_job("some", AssetSelection.checks(guard))
    definitions = Definitions.merge(defined(market), Definitions(jobs=[job]))

    result = definitions.resolve_job_def("some").execute_in_process(instance=instance, raise_on_error=False)

    assert "launch the job offerings_reconcile with the connection as its partition" in reason(result)


def test_given_one_side_out_of_reach_then_the_other_is_shown_and_the_run_fails_with_the_peer_s_words(
    market: Market, instance: DagsterInstance
) -> None:
    market.offer()
    market.waldur.faults.add("status", path="provider-offerings", status=401, body='{"detail": "Invalid token."}')

    result = run(market, instance)

    assert "Invalid token" in reason(result)
    assert materialized(result).keys() <= {"chain_snapshot"}
    assert checks(result).keys() <= {"chain_snapshot.sealed"}


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
    assert f"Approve it with approve: {materialized(held)['plan']['plan'][:12]}" in reason(held)
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

    assert "read incompletely" in reason(result)
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
    (again,) = requests(definitions, "offerings_retries", market, instance)

    assert asked.partition_key == "nordlys"
    assert asked.run_config == {"resources": {"options": {"config": {"keys": [offering_id]}}}}
    # Still due, should the run fail before it tries anything; a key would keep a second run from being made.
    assert (asked.run_key, again.run_key) == (None, None)
    assert asked.tags[SCOPE_TAG] == "offerings/nordlys"
    assert run(market, instance, {"keys": [offering_id]}).success
    assert market.offering(offering_id).state == "Active"


def test_given_a_tick_then_the_schedule_asks_for_every_connection(market: Market, tmp_path: Path) -> None:
    repository = defined(market).get_repository_def()
    # The context opens the instance once more, and has to let go of it first.
    with (
        DagsterInstance.local_temp(str(tmp_path)) as instance,
        build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC), repository_def=repository
        ) as context,
    ):
        asked = repository.get_schedule_def("offerings_every_300_s").evaluate_tick(context).run_requests

    assert [(request.partition_key, request.tags[SCOPE_TAG]) for request in asked or ()] == [
        ("nordlys", "offerings/nordlys")
    ]


@pytest.mark.parametrize(
    ("interval", "by_schedule"), [(60, True), (90, False), (300, True), (45 * 60, False), (48 * 3600, False)]
)
def test_every_interval_from_a_minute_on_has_a_schedule_or_a_sensor(
    market: Market, interval: int, by_schedule: bool
) -> None:
    repository = defined(market, interval=interval).get_repository_def()

    name = f"offerings_every_{interval}_s"
    assert (repository.has_schedule_def(name), repository.has_sensor_def(name)) == (by_schedule, not by_schedule)


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


def test_given_refused_credentials_then_an_approval_is_not_used_up_and_the_connection_not_fresh(
    market: Market, instance: DagsterInstance
) -> None:
    offering_id = market.offer()
    assert run(market, instance, connection=KEEP).success
    market.chain.terminate_offering(offering_id)
    digits = materialized(run(market, instance, connection=KEEP))["plan"]["plan"][:12]
    refused = market.waldur.faults.add(
        "status", method="POST", path="/archive/$", status=401, body='{"detail": "Invalid token."}'
    )
    with market.engine.begin() as connection:
        before = plans.last_applied(connection, "offerings")

    stopped = run(market, instance, {"approve": digits}, connection=KEEP)

    assert "Invalid token" in reason(stopped)
    with market.engine.begin() as connection:
        assert plans.last_applied(connection, "offerings") == before
    market.waldur.faults.remove(refused)
    assert run(market, instance, {"approve": digits}, connection=KEEP).success
    assert market.offering(offering_id).state == "Archived"
