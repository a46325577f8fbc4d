"""Dagster on the shipped dagster.yaml: what it stores, and where."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import serialize_value
from sqlalchemy import Engine, text

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


def test_dagsters_processes_do_not_hand_the_password_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter2@db/app")
    reference = InstanceRef.from_dir(str(tmp_path), config_dir=str(_PROJECT))
    assert "hunter2" not in serialize_value(reference)
