"""What starts runs by itself: reconcile schedules, the retry sensor, and the sensor that notes failed runs."""

from collections.abc import Iterator, Sequence

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    JobDefinition,
    ResourceParam,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    schedule,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from sqlalchemy import Engine

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.orchestration.spec import SCOPE_TAG, ReconcilePipeline
from sync_pipelines.store import audit, owed, states
from sync_pipelines.store.storable import storable_text

Job = JobDefinition | UnresolvedAssetJobDefinition
RETRY_SECONDS = 60
_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING]
_UNFINISHED = [*_WAITING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def cron_of(interval: int) -> str:
    """Return the cron schedule of an interval in seconds: whole minutes, or whole hours, that divide evenly."""
    minutes = interval // 60
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"


def run_request(pipeline: ReconcilePipeline, scope: str, *, keys: Sequence[str] = ()) -> RunRequest:
    """Ask for one reconcile of one connection, of all its records or of some."""
    config = {"resources": {"options": {"config": {"keys": list(keys)}}}} if keys else {}
    return RunRequest(partition_key=scope, run_config=config, tags={SCOPE_TAG: pipeline.tag(scope)})


def reconcile_schedules(pipeline: ReconcilePipeline, job: Job) -> list[ScheduleDefinition]:
    """Return one schedule for each interval that the connections have."""
    return [
        _schedule(pipeline, job, interval, [scope.name for scope in pipeline.scopes if scope.interval == interval])
        for interval in sorted({scope.interval for scope in pipeline.scopes})
    ]


def _schedule(pipeline: ReconcilePipeline, job: Job, interval: int, names: list[str]) -> ScheduleDefinition:
    @schedule(
        name=f"{pipeline.name}_every_{interval}_s",
        job=job,
        cron_schedule=cron_of(interval),
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Reconciles {', '.join(names)} every {interval} s. A connection whose last run still waits is "
        "left out: one reconcile sees everything that happened meanwhile.",
    )
    def reconcile(context: ScheduleEvaluationContext) -> list[RunRequest] | SkipReason:
        requests = [
            run_request(pipeline, name) for name in names if not _has_run(context.instance, pipeline, name, _WAITING)
        ]
        return requests or SkipReason("every connection still has a run waiting")

    return reconcile


def retry_sensor(pipeline: ReconcilePipeline, job: Job) -> SensorDefinition:
    """Return the sensor that starts retries when they are due, instead of at the next full reconcile."""

    @sensor(
        name=f"{pipeline.name}_retries",
        job=job,
        minimum_interval_seconds=RETRY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Looks every minute for records whose retry is due, and for connections that an event run did "
        "not get to, and asks for one run a connection.",
    )
    def retries(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> Iterator[RunRequest | SkipReason]:
        with store.begin() as connection:
            due = states.due(connection, pipeline.name)
            owing = {item.scope for item in owed.standing(connection, pipeline.name)}
        asked = 0
        for name in [scope.name for scope in pipeline.scopes]:
            keys = [retry.natural_key for retry in due if retry.scope == name]
            # No run key: it would de-duplicate for ever, also when the run failed before it tried anything.
            if (keys or name in owing) and not _has_run(context.instance, pipeline, name, _UNFINISHED):
                asked += 1
                yield run_request(pipeline, name, keys=() if name in owing else keys)
        if not asked:
            yield SkipReason("no retry is due, or its run is under way" if due or owing else "no retry is due")

    return retries


def failure_sensor(pipeline: ReconcilePipeline, jobs: Sequence[Job]) -> SensorDefinition:
    """Return the sensor that writes failed runs into the audit log, where operators look for what happened."""

    @run_failure_sensor(
        name=f"{pipeline.name}_failed_runs",
        monitored_jobs=list(jobs),
        default_status=DefaultSensorStatus.RUNNING,
        description="Writes failed runs, with the reason, into the audit log.",
    )
    def failed_runs(context: RunFailureSensorContext, store: ResourceParam[Engine]) -> None:
        entry = {
            "action": "run_failed",
            "success": False,
            "run_id": context.dagster_run.run_id,
            "job": context.dagster_run.job_name,
            "partition": context.partition_key,
            "error": _reason(context),
        }
        with store.begin() as connection:
            audit.append(connection, pipeline.name, entry, scope=context.partition_key)

    return failed_runs


def _has_run(
    instance: DagsterInstance, pipeline: ReconcilePipeline, scope: str, statuses: list[DagsterRunStatus]
) -> bool:
    filters = RunsFilter(tags={SCOPE_TAG: pipeline.tag(scope)}, statuses=statuses)
    return instance.get_runs_count(filters) > 0


def _reason(context: RunFailureSensorContext) -> str:
    """Return the error that people wrote for people, not the frames around it."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return storable_text(Redactor().text(error.message.strip()))
    return context.failure_event.message or "the run failed"
