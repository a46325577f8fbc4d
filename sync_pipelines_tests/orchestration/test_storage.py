"""Dagster on the shipped dagster.yaml: what it stores, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import serialize_value
from sqlalchemy import Engine, text

from sync_pipelines_tests.orchestration.instances import shipped_instance

_PROJECT = Path(__file__).resolve().parents[2]


@dg.asset
def greeting() -> int:
    print("printed by the asset")
    return 1


def test_a_run_on_the_shipped_settings_writes_its_events_to_postgresql(
    tmp_path: Path, engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
    temporary = tmp_path / "removed_by_dagster_dev"
    temporary.mkdir()

    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(temporary), config_dir=str(_PROJECT))) as instance:
        result = dg.materialize([greeting], instance=instance)

    assert result.success
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT dagster_event_type FROM event_logs WHERE run_id = :run"), {"run": result.run_id}
        )
        assert {"STEP_SUCCESS", "ASSET_MATERIALIZATION", "PIPELINE_SUCCESS"} <= set(rows.scalars())
    printed = [path.read_text() for path in (tmp_path / "home" / "dagster" / "logs").rglob("*.out")]
    assert any("printed by the asset" in text for text in printed)
    assert list(temporary.iterdir()) == []


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-03-01"))
def daily() -> None:
    """Some days at once."""


def test_a_range_of_partitions_is_written_in_few_statements(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    with shipped_instance(tmp_path, database_url) as instance:
        storage = instance.event_log_storage
        several = storage.store_event_batch

        def counted(events: Sequence[EventLogEntry]) -> None:
            written.append(len(events))
            several(events)

        monkeypatch.setattr(storage, "store_event_batch", counted)
        job = dg.Definitions(assets=[daily], jobs=[dg.define_asset_job("days")]).resolve_job_def("days")
        tags = {
            "dagster/asset_partition_range_start": "2024-01-01",
            "dagster/asset_partition_range_end": "2024-02-29",
        }
        assert job.execute_in_process(instance=instance, tags=tags).success
        assert len(instance.get_materialized_partitions(daily.key)) == 60
    assert set(written) == {60}


def test_dagsters_processes_do_not_hand_the_password_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter2@db/app")
    reference = InstanceRef.from_dir(str(tmp_path), config_dir=str(_PROJECT))
    assert "hunter2" not in serialize_value(reference)
