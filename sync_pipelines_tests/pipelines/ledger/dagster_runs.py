"""Runs the pipeline's jobs and sensors in this process against a stand-in, and reads what they said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    ResourceDefinition,
    SensorResult,
    build_sensor_context,
    in_process_executor,
)
from sqlalchemy import Engine

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.definitions import definitions_of
from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld

NAME = "dc"
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def connection_of(url: str, **changes: Any) -> LedgerConnection:
    """Return a connection as the file would give it."""
    row = {"name": NAME, "canister_id": "ggi4a-wyaaa-aaaai-actqq-cai", "url": url, "max_retries": 0, **changes}
    return LedgerConnection.model_validate(row, context={"environment": {}})


def idle(*connections: LedgerConnection) -> Definitions:
    """Return the definitions of connections that are never opened."""
    resources = {"store": ResourceDefinition.none_resource(), "options": RunOptions()}
    return Definitions.merge(definitions_of(connections), Definitions(resources=resources))


@dataclass
class Replicated:
    """A stand-in, the database its ledger goes to, and Dagster.

    Attributes:
        changes: fields of the connection that are not the usual ones.
    """

    stand_in: InternetComputerStandIn
    url: str
    engine: Engine
    instance: DagsterInstance
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> LedgerWorld:
        """The ledger at the canister."""
        return self.stand_in.world

    @property
    def connection(self) -> LedgerConnection:
        """The connection."""
        return connection_of(self.url, **self.changes)

    @property
    def definitions(self) -> Definitions:
        """What Dagster loads."""
        return Definitions.merge(
            definitions_of((self.connection,)),
            Definitions(resources={"store": self.engine, "options": RunOptions()}, executor=in_process_executor),
        )

    def imported(self, **options: Any) -> ExecuteInProcessResult:
        """Import as a run of the job."""
        job = self.definitions.resolve_job_def(f"ledger_{NAME}_import")
        config = {"ops": {f"ledger__{NAME}__import": {"config": options}}} if options else {}
        return job.execute_in_process(instance=self.instance, run_config=config, raise_on_error=False)

    def derived(self, first: str, last: str | None = None) -> ExecuteInProcessResult:
        """Derive a day, or a range of days in one run."""
        job = self.definitions.resolve_job_def(f"ledger_{NAME}_days")
        tags = {START: first, END: last or first}
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def tick(self, name: str) -> SensorResult:
        """Return what one tick of a sensor says, keeping its cursor."""
        repository = self.definitions.get_repository_def()
        full = f"ledger_{NAME}_{name}"
        context = build_sensor_context(
            instance=self.instance,
            cursor=self.instance.daemon_cursor_storage.get_cursor_values({full}).get(full),
            resources={"store": self.engine},
            repository_def=repository,
        )
        data = repository.get_sensor_def(full).evaluate_tick(context)
        if data.cursor:
            self.instance.daemon_cursor_storage.set_cursor_values({full: data.cursor})
        return SensorResult(
            run_requests=list(data.run_requests or ()), cursor=data.cursor, skip_reason=data.skip_message
        )


@contextmanager
def replicated(engine: Engine, world: LedgerWorld, **changes: Any) -> Iterator[Replicated]:
    """Serve a ledger for the time of the block."""
    stand_in = InternetComputerStandIn(world)
    with stand_in.running() as url, DagsterInstance.ephemeral() as instance:
        yield Replicated(stand_in, url, engine, instance, changes)


def checks(result: ExecuteInProcessResult) -> dict[str, bool]:
    """Return which checks of a run passed, ``asset.check``."""
    return {f"{one.asset_key.path[-1]}.{one.check_name}": one.passed for one in result.get_asset_check_evaluations()}


def materialized(result: ExecuteInProcessResult) -> dict[str, Mapping[str, Any]]:
    """Return the metadata of what a run materialized, by table; of a range that of its last day."""
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
