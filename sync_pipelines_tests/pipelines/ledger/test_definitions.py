"""The pipeline as Dagster sees it: its graph, its run options, its checks, and how little it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterRunStatus, ExecuteInProcessResult, build_run_status_sensor_context
from sqlalchemy import Engine, text

from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.ledger.definitions import definitions_of
from sync_pipelines.pipelines.ledger.derived_tables import TABLES
from sync_pipelines.pipelines.ledger.projecting import ALL, derive
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.sandbox.internet_computer import LedgerWorld, many
from sync_pipelines.store import audit
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.ledgers import LEDGER_DATA, damaged_world, small_world
from sync_pipelines_tests.pipelines.asset_graphs import reviewed_specs, specs_of
from sync_pipelines_tests.pipelines.ledger.dagster_runs import (
    NAME,
    Replicated,
    checks,
    connection_of,
    idle,
    materialized,
    reason,
    replicated,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything

MOST_EVENTS = 40
DAYS = ("2023-12-31", "2024-01-04")
"""Days of the small ledger."""


@pytest.fixture
def small(engine: Engine) -> Iterator[Replicated]:
    """The small ledger, nothing imported yet."""
    with replicated(engine, small_world()) as one:
        yield one


def test_the_graph_is_the_reviewed_one() -> None:
    assert specs_of(idle(connection_of("http://replica.test"))) == reviewed_specs(Path(__file__))


def test_several_canisters_live_side_by_side_and_without_any_there_is_nothing_to_show() -> None:
    first, second = connection_of("http://one.test"), connection_of("http://two.test", name="eu-west")
    definitions = idle(first, second)

    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    for name in ("dc", "eu-west"):
        assert AssetKey(["ledger", name, "token_transfers"]) in keys
    sensors = {one.name for one in definitions.sensors or ()}
    assert {"ledger_dc_tip", "ledger_eu_west_tip", "ledger_dc_days", "ledger_failed_runs"} <= sensors
    schedules = {one.name for one in definitions.schedules or ()}
    assert {"ledger_dc_every_600_s", "ledger_eu_west_every_600_s", "ledger_health_every_15_min"} <= schedules
    unscheduled = idle(connection_of("http://one.test", interval=0))
    assert not [one.name for one in unscheduled.schedules or () if one.name.startswith("ledger_dc_every")]
    assert list(definitions_of(()).assets or []) == []


def test_given_a_first_import_then_the_numbers_and_the_checks_say_what_happened(small: Replicated) -> None:
    result = small.imported(label="NPProfile")

    assert result.success
    said = materialized(result)["ledger_entries"]
    assert (said["entries"], said["blocks"], said["total_entries"], said["behind"]) == (467, 40, 467, 0)
    assert (said["ending"], said["position"] == said["tip_position"]) == ("caught_up", True)
    assert "| DCTokenTransfer | 281 |" in said["labels"]
    assert 0 < said["entries_of_label"] < 20
    assert said["requests"] >= 2
    assert checks(result) == {"ledger_entries.chain_continuous": True, "ledger_entries.lag": True}
    assert len(small.instance.all_logs(result.run_id)) <= MOST_EVENTS

    again = materialized(small.imported())["ledger_entries"]
    assert (again["entries"], again["total_entries"], again["requests"]) == (0, 467, 1)


def test_given_plan_mode_then_it_is_told_what_would_be_imported_and_nothing_is_stored(small: Replicated) -> None:
    result = small.imported(mode="plan")

    assert result.success
    assert materialized(result) == {}
    (seen,) = [event for event in result.all_events if event.is_asset_observation]
    assert "40 blocks, " in str(seen.asset_observation_data.asset_observation.description)
    assert checks(result) == {"ledger_entries.lag": False}
    assert position_of(small.engine, NAME) is None


def test_given_a_damaged_block_then_the_import_stops_before_it_and_the_check_says_where(engine: Engine) -> None:
    manifest = json.loads((LEDGER_DATA / "corrupt" / "manifest.json").read_text("utf-8"))
    (case,) = [one for one in manifest if one["file"] == "corrupt/truncated_zlib.ledger"]
    with replicated(engine, damaged_world(case["file"], case["end_position"])) as damaged:
        result = damaged.imported()

        assert result.success, "what is sound is stored, and the check is what fails"
        assert materialized(result)["ledger_entries"]["blocks"] == case["must_import_blocks"]
        (failed,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "chain_continuous"]
        assert not failed.passed
        assert failed.description is not None
        assert f"stopped before the block at position {case['must_stay_at_position']}: " in failed.description
        assert checks(result)["ledger_entries.lag"] is False


def _note_failure(one: Replicated, failed: ExecuteInProcessResult) -> None:
    """Let the sensor of failed runs see one."""
    sensor = one.definitions.get_repository_def().get_sensor_def("ledger_failed_runs")
    context = build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=next(event for event in failed.all_events if event.is_run_failure),
        dagster_instance=one.instance,
        dagster_run=failed.dagster_run,
        resources={"store": one.engine},
    ).for_run_failure()
    sensor(context)


def test_given_a_rewritten_tail_then_only_a_resync_replaces_what_is_stored(small: Replicated) -> None:
    small.imported()
    small.derived(*DAYS)
    small.world.rewrite_tail(3, then=5)

    refused = small.imported()

    assert not refused.success
    assert "sync-pipelines ledger resync" in reason(refused)
    assert checks(refused)["ledger_entries.chain_continuous"] is False
    _note_failure(small, refused)

    resynced = small.imported(mode="resync")

    assert resynced.success
    said = materialized(resynced)["ledger_entries"]
    assert (said["common_blocks"], said["superseded_blocks"], said["total_blocks"]) == (37, 3, 42)
    assert checks(resynced)["ledger_entries.chain_continuous"]
    with small.engine.connect() as connection:
        entries = [
            (item.entry["action"], item.entry.get("common_blocks")) for item in audit.entries(connection, "ledger")
        ]
    assert entries[-1] == ("ledger_resync", 37)


def test_given_a_day_then_every_table_is_told_of_in_few_events_and_the_checks_prove_the_rest(small: Replicated) -> None:
    small.imported()

    result = small.derived("2024-01-01")

    assert result.success
    said = materialized(result)
    assert len(said) == 10
    assert (said["dc_users"]["days"], said["dc_users"]["rows_written"]) == (1, 3)
    assert said["token_transfers"]["rows_written"] == said["token_transfers"]["total_rows"] > 0
    assert "| csv_not_utf8 | 1 |" in said["provider_offerings"]["import_errors"]
    assert checks(result) == {
        "ledger_entries.chain_proven": True,
        "ledger_entries.unknown_labels": False,
        "ledger_entries.signatures": False,
        # Two more days wait.
        "ledger_entries.projection_complete": False,
        "token_transfers.balances": True,
    }
    assert len(small.instance.all_logs(result.run_id)) <= MOST_EVENTS

    assert checks(small.derived(*DAYS))["ledger_entries.projection_complete"]


def test_given_one_table_then_the_others_are_left_alone(small: Replicated) -> None:
    small.imported()

    job = small.definitions.resolve_job_def(f"ledger_{NAME}_days")
    result = job.execute_in_process(
        instance=small.instance,
        partition_key="2024-01-01",
        asset_selection=[AssetKey(["ledger", NAME, "provider_profiles"])],
    )

    assert list(materialized(result)) == ["provider_profiles"]
    with small.engine.connect() as connection:
        rows = connection.execute(text("SELECT DISTINCT projection FROM sync.ledger_days")).scalars().all()
    assert rows == ["profiles"]


def test_times_outside_of_the_days_are_derived_with_the_first_and_the_last_one(engine: Engine) -> None:
    world = LedgerWorld("early", start_ns=1_600_000_000 * 10**9)
    world.grow(1)
    world.grow(1, at_ns=4_000_000_000 * 10**9)
    with replicated(engine, world) as one:
        one.imported()
        (request,) = one.tick("days").run_requests or ()
        assert request.tags["dagster/asset_partition_range_start"] == "2023-12-31"
        one.derived("2023-12-31")
        last = one.tick("days").run_requests
        assert last
        one.derived(last[0].tags["dagster/asset_partition_range_end"])
        assert "every day is derived" in str(one.tick("days").skip_reason)


def test_given_a_month_in_one_run_then_it_comes_out_as_the_sum_of_its_days(
    engine: Engine, postgres_server: EmbeddedServer, migrated_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    world, midnight = LedgerWorld("month"), datetime(2024, 1, 1, tzinfo=UTC)
    days = [midnight + timedelta(days=number) for number in range(31)]
    for day in days:
        world.grow(1, at_ns=int((day + timedelta(hours=day.day % 24)).timestamp()) * 10**9)
    with replicated(engine, world) as month, fresh_engine(postgres_server, migrated_template) as other:
        month.imported()
        result = month.derived("2024-01-01", "2024-01-31")
        assert result.success
        single = Replicated(month.stand_in, month.url, other, month.instance)
        single.imported()
        derived = [derive(other, NAME, day.date(), day.date(), ALL) for day in days]

        whole = materialized(result)
        assert whole["token_transfers"]["days"] == 31
        for table in TABLES:
            written = sum(one.rows[table.events] for one in derived)
            assert (table.name, whole[table.name]["rows_written"]) == (table.name, written)
        assert whole["dc_users"]["entries_read"] == sum(one.entries for one in derived) > 31
        assert everything(engine) == everything(other)
        partitions = month.instance.get_materialized_partitions(AssetKey(["ledger", NAME, "token_transfers"]))
        assert partitions == {day.date().isoformat() for day in days}


@pytest.mark.long
def test_given_a_million_entries_then_they_are_imported_in_one_run_of_few_events(engine: Engine) -> None:
    with replicated(engine, many(1_000_000, per_block=10_000)) as large:
        result = large.imported()
        assert materialized(result)["ledger_entries"]["entries"] == 1_000_000
        assert len(large.instance.all_logs(result.run_id)) <= MOST_EVENTS


def test_given_a_range_of_days_then_dagster_keeps_all_its_events_apart_from_the_number_of_writes(
    small: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    small.imported()
    result = small.derived(*DAYS)

    key = AssetKey(["ledger", NAME, "check_ins"])
    assert small.instance.get_materialized_partitions(key) == {f"2024-01-0{day}" for day in (1, 2, 3, 4)} | {DAYS[0]}
    assert small.instance.get_run_by_id(result.run_id).status is DagsterRunStatus.SUCCESS  # type: ignore[union-attr]  # it was just made
    assert result.dagster_run.tags[SCOPE_TAG] == f"ledger/{NAME}/days"


def test_freshness_tells_how_long_ago_the_canister_was_looked_at(small: Replicated) -> None:
    job = small.definitions.resolve_job_def("ledger_health")

    def fresh() -> bool:
        result = job.execute_in_process(instance=small.instance)
        return checks(result)["ledger_entries.freshness"]

    assert not fresh()
    small.imported()
    assert fresh()
    with small.engine.begin() as connection:
        connection.execute(text("UPDATE sync.ledger_position SET tip_seen_at = now() - interval '1 hour'"))
    assert not fresh()


def test_the_whole_ledger_is_proved_on_its_own(small: Replicated) -> None:
    small.imported()
    small.derived(*DAYS)
    with small.engine.begin() as connection:
        connection.execute(text("UPDATE sync.ledger_entries SET value = value || 'x' WHERE label = 'RepAge'"))

    result = small.definitions.resolve_job_def(f"ledger_{NAME}_verify").execute_in_process(instance=small.instance)

    assert result.success
    assert checks(result)["ledger_entries.chain_proven"] is False
    assert checks(result)["ledger_entries.projection_complete"]
