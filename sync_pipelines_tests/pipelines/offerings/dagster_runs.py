"""Runs the pipeline's jobs and sensors in this process, and reads what they said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import (
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    RunRequest,
    build_sensor_context,
    in_process_executor,
)

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines_tests.pipelines.offerings.market import Market


def defined(market: Market, **changes: Any) -> Definitions:
    """Return the definitions of the market's usual connection."""
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
    """Reconcile the connection as a run of its job."""
    job = defined(market, **(connection or {})).resolve_job_def("offerings_reconcile")
    return job.execute_in_process(
        instance=instance,
        partition_key="nordlys",
        run_config={"resources": {"options": {"config": dict(options or {})}}},
        raise_on_error=False,
    )


def checks(result: ExecuteInProcessResult) -> dict[str, bool]:
    """Return which checks of a run passed, ``asset.check``."""
    return {
        f"{check.asset_key.path[-1]}.{check.check_name}": check.passed for check in result.get_asset_check_evaluations()
    }


def materialized(result: ExecuteInProcessResult) -> dict[str, Mapping[str, Any]]:
    """Return the metadata of what a run materialized, by asset."""
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def reason(result: ExecuteInProcessResult) -> str:
    """Return why a run failed, as people wrote it."""
    failure = next(event for event in result.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    assert error is not None
    return error.message


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
