"""What starts runs by itself: reconciles at intervals and on start, retries; and the sensor that notes failed runs."""

from collections.abc import Iterator, Mapping, Sequence

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
    SensorResult,
    SkipReason,
    run_failure_sensor,
    schedule,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from sqlalchemy import Engine

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.orchestration.intervals import cron_of, is_even
from sync_pipelines.orchestration.spec import SCOPE_TAG, Named, ReconcilePipeline
from sync_pipelines.store import audit, owed, waiting
from sync_pipelines.store.storable import storable_text

Job = JobDefinition | UnresolvedAssetJobDefinition
RETRY_SECONDS = 60
_DAEMON = "SENSOR"
"""The type under which the daemon that evaluates sensors reports."""
_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING]
_UNFINISHED = [*_WAITING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def run_request(
    pipeline: ReconcilePipeline, scope: str, *, keys: Sequence[str] = (), run_key: str | None = None
) -> RunRequest:
    """Ask for one reconcile of one connection, of all its records or of some.

    Arguments:
        run_key: for what may be asked for once, ever.
    """
    config = {"resources": {"options": {"config": {"keys": list(keys)}}}} if keys else {}
    return RunRequest(run_key=run_key, partition_key=scope, run_config=config, tags={SCOPE_TAG: pipeline.tag(scope)})


def reconcile_schedules(pipeline: ReconcilePipeline, job: Job) -> list[ScheduleDefinition]:
    """Return one schedule for each interval of the connections that cron can express.

    The others are what :func:`interval_sensors` is for.
    """
    return [_schedule(pipeline, job, interval, names) for interval, names in _intervals(pipeline) if is_even(interval)]


def interval_sensors(pipeline: ReconcilePipeline, job: Job) -> list[SensorDefinition]:
    """Return one sensor for each interval of the connections that cron cannot express, such as 90 s or 45 minutes.

    The time of its last tick is in Dagster's storage: it goes on after a restart, and is late at once after a long one.
    """
    return [
        _interval_sensor(pipeline, job, interval, names)
        for interval, names in _intervals(pipeline)
        if not is_even(interval)
    ]


def _intervals(pipeline: ReconcilePipeline) -> list[tuple[int, list[str]]]:
    """Return every interval with the connections that have it; 0 is none."""
    return [
        (interval, [scope.name for scope in pipeline.scopes if scope.interval == interval])
        for interval in sorted({scope.interval for scope in pipeline.scopes if scope.interval})
    ]


def _told(interval: int, names: Sequence[str]) -> str:
    return (
        f"Reconciles {', '.join(names)} every {interval} s. A connection whose last run still waits is "
        "left out: one reconcile sees everything that happened meanwhile."
    )


def _not_waiting(instance: DagsterInstance, pipeline: ReconcilePipeline, names: Sequence[str]) -> list[str]:
    return [name for name in names if not _has_run(instance, pipeline, name, _WAITING)]


def _interval_sensor(pipeline: ReconcilePipeline, job: Job, interval: int, names: list[str]) -> SensorDefinition:
    @sensor(
        name=f"{pipeline.name}_every_{interval}_s",
        job=job,
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description=_told(interval, names),
    )
    def reconcile(context: SensorEvaluationContext) -> list[RunRequest] | SkipReason:
        requests = [run_request(pipeline, name) for name in _not_waiting(context.instance, pipeline, names)]
        return requests or SkipReason("every connection still has a run waiting")

    return reconcile


def start_sensors(pipeline: ReconcilePipeline, job: Job) -> list[SensorDefinition]:
    """Return the sensor that reconciles once whenever Dagster's daemon starts; none when no connection wants it."""
    names = [scope.name for scope in pipeline.scopes if scope.on_start]
    if not names:
        return []

    @sensor(
        name=f"{pipeline.name}_on_start",
        job=job,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Reconciles {', '.join(names)} once whenever Dagster's daemon starts.",
    )
    def on_start(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        # Not the start of this process: the daemon replaces its code servers every minute or so.
        heartbeat = context.instance.get_daemon_heartbeats().get(_DAEMON)
        if heartbeat is None or heartbeat.daemon_id is None:
            return SkipReason("the daemon has not reported yet")
        if context.cursor == heartbeat.daemon_id:
            return SkipReason("asked for since the start")
        requests = [
            # With a run key, because a tick that dies before its cursor is kept is repeated.
            run_request(pipeline, name, run_key=f"{pipeline.tag(name)} {heartbeat.daemon_id}")
            for name in _not_waiting(context.instance, pipeline, names)
        ]
        return SensorResult(run_requests=requests, cursor=heartbeat.daemon_id)

    return [on_start]


def _schedule(pipeline: ReconcilePipeline, job: Job, interval: int, names: list[str]) -> ScheduleDefinition:
    @schedule(
        name=f"{pipeline.name}_every_{interval}_s",
        job=job,
        cron_schedule=cron_of(interval),
        default_status=DefaultScheduleStatus.RUNNING,
        description=_told(interval, names),
    )
    def reconcile(context: ScheduleEvaluationContext) -> list[RunRequest] | SkipReason:
        requests = [run_request(pipeline, name) for name in _not_waiting(context.instance, pipeline, names)]
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
            due = waiting.due(connection, pipeline.name)
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


def failure_sensor(pipeline: Named, jobs: Sequence[Job], *, by_tag: bool = False) -> SensorDefinition:
    """Return the sensor that writes failed runs into the audit log, where operators look for what happened.

    Arguments:
        by_tag: the connection is named by the run's :data:`SCOPE_TAG`, because a partition is something else.
    """

    @run_failure_sensor(
        name=f"{pipeline.name}_failed_runs",
        monitored_jobs=list(jobs),
        default_status=DefaultSensorStatus.RUNNING,
        description="Writes failed runs, with the reason, into the audit log.",
    )
    def failed_runs(context: RunFailureSensorContext, store: ResourceParam[Engine]) -> None:
        scope = _tagged(context.dagster_run.tags) if by_tag else context.partition_key
        entry = {
            "action": "run_failed",
            "success": False,
            "run_id": context.dagster_run.run_id,
            "job": context.dagster_run.job_name,
            "partition": context.partition_key,
            "error": _reason(context),
        }
        with store.begin() as connection:
            audit.append(connection, pipeline.name, entry, scope=scope)

    return failed_runs


def _has_run(
    instance: DagsterInstance, pipeline: ReconcilePipeline, scope: str, statuses: list[DagsterRunStatus]
) -> bool:
    filters = RunsFilter(tags={SCOPE_TAG: pipeline.tag(scope)}, statuses=statuses)
    return instance.get_runs_count(filters) > 0


def _tagged(tags: Mapping[str, str]) -> str | None:
    parts = tags.get(SCOPE_TAG, "").split("/")
    return parts[1] if len(parts) > 1 else None


def _reason(context: RunFailureSensorContext) -> str:
    """Return the error that people wrote for people, not the frames around it."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return storable_text(Redactor().text(error.message.strip()))
    return context.failure_event.message or "the run failed"
