"""What starts reconciles: every interval there may be, and the start of the daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import pytest
from dagster import (
    AssetSelection,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    build_sensor_context,
    define_asset_job,
)
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.orchestration.automation import (
    Job,
    interval_sensors,
    reconcile_schedules,
    start_sensors,
)
from sync_pipelines.orchestration.intervals import cron_of, is_even
from sync_pipelines.orchestration.spec import SCOPE_TAG, ReconcilePipeline, Scoped
from sync_pipelines_tests.engine.worlds import World
from sync_pipelines_tests.orchestration.memory_pipeline import defined, pipeline_of

SCOPES = [
    Scoped("hourly", 3600, on_start=True),
    Scoped("uneven", 90),
    Scoped("odd", 6000, on_start=True),
    Scoped("by hand", 0),
]


@pytest.fixture
def pipeline(engine: Engine) -> ReconcilePipeline:
    return pipeline_of(World(engine), scopes=SCOPES)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize(
    ("interval", "cron"),
    [
        (60, "*/1 * * * *"),
        (300, "*/5 * * * *"),
        (45 * 60, None),
        (7 * 60, None),
        (90, None),
        (100 * 60, None),
        (3600, "0 */1 * * *"),
        (2 * 3600, "0 */2 * * *"),
        (5 * 3600, None),
        (24 * 3600, "0 0 * * *"),
        (48 * 3600, None),
        (0, None),
    ],
)
def test_an_interval_is_put_into_cron_only_when_cron_means_the_same(interval: int, cron: str | None) -> None:
    assert is_even(interval) is (cron is not None)
    if cron is not None:
        assert cron_of(interval) == cron


def test_every_interval_has_one_schedule_or_one_sensor_and_no_interval_has_none(pipeline: ReconcilePipeline) -> None:
    job = defined_job(pipeline)

    assert [one.name for one in reconcile_schedules(pipeline, job)] == ["worlds_every_3600_s"]
    assert [(one.name, one.minimum_interval_seconds) for one in interval_sensors(pipeline, job)] == [
        ("worlds_every_90_s", 90),
        ("worlds_every_6000_s", 6000),
    ]


@pytest.mark.parametrize("interval", [1, 59])
def test_an_interval_below_a_minute_is_refused(interval: int) -> None:
    with pytest.raises(ConfigurationError, match=r"connection fast: interval \d+ s is too short"):
        Scoped("fast", interval)


def test_given_a_tick_of_an_interval_that_cron_cannot_express_then_a_connection_with_a_waiting_run_is_left_out(
    pipeline: ReconcilePipeline, instance: DagsterInstance
) -> None:
    sensor = interval_sensors(pipeline, defined_job(pipeline))[0]

    (asked,), _ = tick(pipeline, sensor, instance)
    assert (asked.partition_key, asked.run_key, asked.tags[SCOPE_TAG]) == ("uneven", None, "worlds/uneven")
    let_wait(instance, pipeline, "uneven")
    assert tick(pipeline, sensor, instance)[0] == []
    assert sensor.default_status is DefaultSensorStatus.RUNNING


def test_given_a_start_of_the_daemon_then_every_connection_that_wants_it_is_asked_for_once(
    pipeline: ReconcilePipeline, instance: DagsterInstance
) -> None:
    (sensor,) = start_sensors(pipeline, defined_job(pipeline))
    report(instance, "first")

    asked, cursor = tick(pipeline, sensor, instance)
    assert [request.partition_key for request in asked] == ["hourly", "odd"]
    assert len({request.run_key for request in asked}) == 2
    report(instance, "first")
    assert tick(pipeline, sensor, instance, cursor) == ([], cursor)


def test_given_definitions_that_are_loaded_anew_under_the_same_daemon_then_nothing_is_asked_for(
    pipeline: ReconcilePipeline, instance: DagsterInstance
) -> None:
    report(instance, "first")
    _, cursor = tick(pipeline, start_sensors(pipeline, defined_job(pipeline))[0], instance)

    assert tick(pipeline, start_sensors(pipeline, defined_job(pipeline))[0], instance, cursor) == ([], cursor)


def test_given_another_start_then_it_asks_again(pipeline: ReconcilePipeline, instance: DagsterInstance) -> None:
    (sensor,) = start_sensors(pipeline, defined_job(pipeline))
    report(instance, "first")
    first, cursor = tick(pipeline, sensor, instance)
    report(instance, "second")
    second, _ = tick(pipeline, sensor, instance, cursor)

    assert len(second) == 2
    assert {request.run_key for request in first}.isdisjoint(request.run_key for request in second)


def test_given_a_daemon_that_has_not_reported_then_nothing_is_asked_for_yet(
    pipeline: ReconcilePipeline, instance: DagsterInstance
) -> None:
    (sensor,) = start_sensors(pipeline, defined_job(pipeline))

    assert tick(pipeline, sensor, instance) == ([], None)


def test_given_a_start_with_a_run_that_still_waits_then_that_connection_is_left_out(
    pipeline: ReconcilePipeline, instance: DagsterInstance
) -> None:
    (sensor,) = start_sensors(pipeline, defined_job(pipeline))
    report(instance, "first")
    let_wait(instance, pipeline, "hourly")

    assert [request.partition_key for request in tick(pipeline, sensor, instance)[0]] == ["odd"]


def test_given_no_connection_that_wants_it_then_there_is_no_sensor_for_the_start(engine: Engine) -> None:
    pipeline = pipeline_of(World(engine))
    assert start_sensors(pipeline, defined_job(pipeline)) == []


def defined_job(pipeline: ReconcilePipeline) -> Job:
    """Return the job that reconciles one connection."""
    return define_asset_job(pipeline.job_name, AssetSelection.assets(*pipeline.made).without_checks())


def report(instance: DagsterInstance, daemon_id: str) -> None:
    """Let the daemon report that it lives."""
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", daemon_id))


def let_wait(instance: DagsterInstance, pipeline: ReconcilePipeline, scope: str) -> None:
    """Let a run of a connection wait for its process."""
    instance.create_run_for_job(
        defined(World(cast(Engine, None)), pipeline).resolve_job_def(pipeline.job_name),
        status=DagsterRunStatus.STARTING,
        tags={SCOPE_TAG: pipeline.tag(scope)},
    )


def tick(
    pipeline: ReconcilePipeline, sensor: SensorDefinition, instance: DagsterInstance, cursor: str | None = None
) -> tuple[list[RunRequest], str | None]:
    """Return what a tick asks for, and the cursor after it."""
    repository = defined(World(cast(Engine, None)), pipeline).get_repository_def()
    context = build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    data = sensor.evaluate_tick(context)
    return list(data.run_requests or ()), data.cursor
