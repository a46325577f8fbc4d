"""The pipeline as Dagster runs it: its graph, its checks, its schedules, and the run options of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult, ResourceDefinition, in_process_executor
from sqlalchemy import Engine

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.definitions import definitions_of
from sync_pipelines.sandbox.bosh import DirectorStandIn
from sync_pipelines.settings import Secret
from sync_pipelines_tests.pipelines.asset_graphs import reviewed_specs, specs_of
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA
from sync_pipelines_tests.pipelines.deployments.fleet import NAME_OF_ONE, Fleet, opened_fleet
from sync_pipelines_tests.vaults import Mounted


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """A Dagster instance in memory."""
    with DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def demo(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """The demo's Director and Vault."""
    for path, document in json.loads((DATA / "vault.json").read_text())["secrets"].items():
        kv2.write(path, document)
    with opened_fleet(engine, DirectorStandIn.demo(), kv2) as fleet:
        yield fleet


def _idle(**changes: Any) -> Definitions:
    """Return the definitions of a connection that is never opened."""
    row = {
        "name": NAME_OF_ONE,
        "director": {"url": "http://director.test", "user": "u", "password": Secret("p")},
        "vault": {"url": "http://vault.test", "token": Secret("t")},
        "catalog": str(DATA / "catalog.json"),
        **changes,
    }
    connection = DeploymentsConnection.model_validate(row, context={"environment": {}})
    resources = {"store": ResourceDefinition.none_resource(), "options": RunOptions()}
    return Definitions.merge(definitions_of((connection,)), Definitions(resources=resources))


def _defined(fleet: Fleet) -> Definitions:
    return Definitions.merge(
        definitions_of((fleet.connection(),)),
        Definitions(resources={"store": fleet.engine, "options": RunOptions()}, executor=in_process_executor),
    )


def _run(fleet: Fleet, instance: DagsterInstance, options: Mapping[str, Any] | None = None) -> ExecuteInProcessResult:
    return (
        _defined(fleet)
        .resolve_job_def("deployments_reconcile")
        .execute_in_process(
            instance=instance,
            partition_key=NAME_OF_ONE,
            run_config={"resources": {"options": {"config": dict(options or {})}}},
            raise_on_error=False,
        )
    )


def test_the_graph_is_the_reviewed_one() -> None:
    assert specs_of(_idle()) == reviewed_specs(Path(__file__))


@pytest.mark.parametrize(
    ("interval", "schedules", "sensors"),
    [("1h", ["deployments_every_3600_s"], []), ("45m", [], ["deployments_every_2700_s"]), ("0", [], [])],
)
def test_the_interval_of_the_reconciler_becomes_a_schedule(
    interval: str, schedules: list[str], sensors: list[str]
) -> None:
    definitions = _idle(reconciler={"interval": interval})
    assert [one.name for one in definitions.schedules or () if one.name.startswith("deployments_every")] == schedules
    named = {one.name for one in definitions.sensors or ()}
    assert [name for name in sorted(named) if "_every_" in name] == sensors
    assert any("start" in name for name in named)
    assert {"deployments_retries", "deployments_failed_runs"} <= named


def test_a_run_shows_the_matches_and_answers_its_checks_in_a_few_rows(demo: Fleet, instance: DagsterInstance) -> None:
    result = _run(demo, instance)

    assert result.success
    made = {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert list(made) == ["director_snapshot", "vault_snapshot", "matches", "plan", "applied"]
    matches = made["matches"]
    assert (matches["deployments"], matches["matched"], matches["needs_review"]) == (14, 11, 1)
    assert (matches["matched_by_name"], matches["no_instances"], matches["locked"]) == (11, 2, 1)
    assert "66080f17" in str(matches["to_look_at"])
    assert "no valid YAML (line 17, column 1)" in str(matches["to_look_at"])
    assert made["applied"]["instances_found"] == 11
    checks = {f"{one.asset_key.path[-1]}.{one.check_name}": one.passed for one in result.get_asset_check_evaluations()}
    assert checks["director_snapshot.sealed"]
    assert checks["matches.unmatched"]
    assert not checks["matches.low_confidence"]
    assert not checks["vault_snapshot.orphaned"]
    assert "applied.backups_restorable" not in checks, "there were none to look at"
    assert checks["applied.converged"]
    assert len(instance.all_logs(result.run_id)) <= 40

    again = _run(demo, instance)
    checks = {f"{one.asset_key.path[-1]}.{one.check_name}": one.passed for one in again.get_asset_check_evaluations()}
    assert checks["applied.backups_restorable"]


@pytest.mark.long
def test_people_may_name_a_service_and_a_forced_run_reads_everything_anew(
    demo: Fleet, instance: DagsterInstance
) -> None:
    _run(demo, instance)
    demo.asked()

    assert _run(demo, instance, {"keys": ["service:rabbitmq"]}).success
    assert set(demo.asked()) == {"/deployments"}

    assert not _run(demo, instance, {"keys": ["service:mysql"]}).success
    demo.asked()
    assert _run(demo, instance, {"force_full": True}).success
    assert sum(path.endswith("/vms") for path in demo.asked()) == 14


def test_without_connections_there_is_nothing_to_show() -> None:
    assert list(definitions_of(()).assets or []) == []
