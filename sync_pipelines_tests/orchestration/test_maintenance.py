"""Maintenance: old runs go with their events, and the newest word on every asset and partition stays."""

from pathlib import Path

import pytest
from dagster import (
    AssetExecutionContext,
    AssetKey,
    Definitions,
    StaticPartitionsDefinition,
    asset,
    in_process_executor,
    job,
    materialize,
    op,
)
from sqlalchemy import text

from sync_pipelines.orchestration.maintenance import maintenance_job, maintenance_schedule
from sync_pipelines.orchestration.run_retention import prune_runs
from sync_pipelines.store.database import connect_engine
from sync_pipelines_tests.orchestration.instances import shipped_instance

_DAYS = StaticPartitionsDefinition(["monday", "tuesday"])


@asset(partitions_def=_DAYS)
def days(context: AssetExecutionContext) -> None:
    context.log.info(context.partition_key)


@asset
def whole() -> None: ...


@op
def nothing() -> None: ...


@job(executor_def=in_process_executor)
def other() -> None:
    nothing()


def test_given_old_runs_then_only_those_with_the_newest_word_on_something_stay(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_KEEP_RUNS_DAYS", "30")
    engine = connect_engine(database_url)
    try:
        with shipped_instance(tmp_path, database_url) as instance:
            monday, tuesday, monday_again = [
                materialize([days], partition_key=day, instance=instance).run_id
                for day in ("monday", "tuesday", "monday")
            ]
            whole_run = materialize([whole], instance=instance).run_id
            old_job = other.execute_in_process(instance=instance).run_id
            with engine.begin() as connection:
                connection.execute(text("UPDATE runs SET create_timestamp = now() - interval '1 year'"))
            new_job = other.execute_in_process(instance=instance).run_id

            assert prune_runs(instance, 0) == 0
            assert prune_runs(instance, 30, dry_run=True) == 2
            assert len(instance.get_runs()) == 6
            definitions = Definitions(
                jobs=[maintenance_job], schedules=[maintenance_schedule], resources={"store": engine}
            )
            result = definitions.resolve_job_def("maintenance").execute_in_process(instance=instance)

            assert result.output_for_node("prune")["runs"] == 2
            kept = {run.run_id for run in instance.get_runs()} - {result.run_id}
            assert kept == {tuesday, monday_again, whole_run, new_job}
            assert not instance.all_logs(old_job)
            assert not instance.all_logs(monday)
            assert instance.get_materialized_partitions(AssetKey("days")) == {"monday", "tuesday"}
            assert prune_runs(instance, 30) == 0
    finally:
        engine.dispose()
