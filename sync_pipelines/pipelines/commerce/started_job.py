"""How Dagster takes up the syncs that people start: a sensor that asks for a run for each, and the job of that run.

Who carries a sync out is decided by its lease in the database: a second run of it finds that and ends.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import (
    AssetMaterialization,
    AssetSpec,
    Config,
    DagsterExecutionInterruptedError,
    DagsterRunStatus,
    DefaultSensorStatus,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    ResourceParam,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.orchestration import Status
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.commerce.asset_keys import PLAN, STARTED, asset
from sync_pipelines.pipelines.commerce.automation import scope_tag
from sync_pipelines.pipelines.commerce.connection import NAME, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.runs import carry_out_sync
from sync_pipelines.pipelines.commerce.started_syncs import Standing, Started, find, markdown, standing, waiting
from sync_pipelines.store.orchestrations import Orchestration

JOB = f"{NAME}_started_sync"
STEP = f"{NAME}__started_sync"
SYNC_TAG = "sync/started"
"""Run tag with the id of the sync that a run is to carry out."""
LOOK_SECONDS = 10
"""How often it is looked for syncs that wait; a question to our own database."""
FIRST_RETRY, LONGEST_RETRY = 60, 3600
"""Seconds until a sync is asked for again whose run ended without having touched it; doubled each time."""
_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


class StartedSync(Config):
    """Which sync a run carries out; shown in the Launchpad."""

    sync_id: str = Field(
        description="The sync, as `sync-pipelines commerce syncs` lists it; as much of the id as no other one begins "
        "with. One that is over, paused, or in the hands of another worker is left alone."
    )


def started_asset() -> AssetSpec:
    """Return the asset on which runs tell what came of a sync."""
    return AssetSpec(
        asset(STARTED),
        deps=[asset(PLAN)],
        group_name=NAME,
        kinds={*PEERS, "postgres"},
        owners=["team:platform"],
        description="Syncs that people start, pause, resume and cancel. Told of by the runs of the job "
        f"`{JOB}`; start one with `sync-pipelines commerce start`.",
    )


def started_job(configured: Sequence[ShopConnection]) -> JobDefinition:
    """Return the job that carries one sync out, from where it stands until it is over, paused or cancelled."""

    # A pool of its own: syncs may take hours, and must not keep the schedules' runs from their slots.
    @op(name=STEP, pool=f"{NAME}_started", description="Carry out one sync that somebody started.")
    def carry_out_started(context: OpExecutionContext, store: ResourceParam[Engine], config: StartedSync) -> None:
        with store.begin() as connection:
            started = find(connection, configured, config.sync_id)
        story = Story(context.log)
        done: Orchestration | None = None
        try:
            with story as log:
                work = carry_out_sync(started.shop, store, started.sync.sync_id, log)
                done = run_stoppable(work, context.instance, context.run_id)
        except (SyncError, DagsterExecutionInterruptedError):
            _tell(context, store, started, was_taken_up=True)
            raise
        _tell(context, store, started, was_taken_up=done is not None, log=story.rest())
        if done is not None and done.status is Status.FAILED:
            raise SyncError(f"{done.sync_id} of {done.shop} failed: {done.error}")

    @job(
        name=JOB,
        executor_def=in_process_executor,
        description="Carry out a sync that somebody started. The sensor asks for it; launching it by hand does no "
        "harm. A run that is terminated finishes what it has in hand, and leaves the sync to the next one.",
    )
    def carry_out_started_sync() -> None:
        carry_out_started()

    return carry_out_started_sync


def _tell(context: OpExecutionContext, store: Engine, started: Started, *, was_taken_up: bool, log: str = "") -> None:
    with store.begin() as connection:
        found = standing(connection, started.sync)
    if not was_taken_up:
        context.log.info("%s is left alone: %s", found.sync.sync_id, _why(found.sync))
    said: dict[str, Any] = {"log": MetadataValue.md(f"```\n{log}\n```")} if log else {}
    context.log_event(AssetMaterialization(asset(STARTED), metadata=_metadata(found) | said))


def _why(sync: Orchestration) -> str:
    return "another worker carries it out" if sync.is_attended else f"it is {sync.status}"


def _metadata(found: Standing) -> dict[str, Any]:
    sync, total = found.sync, found.total
    texts: dict[str, Any] = {
        "items": MetadataValue.md(markdown(found)),
        "sync": sync.sync_id,
        "organization": sync.org,
        "shop": sync.shop,
        "status": sync.status.value,
    }
    if sync.error:
        texts["error"] = sync.error
    return texts | {
        "processed": total.processed,
        "failed": total.failed,
        "skipped": total.skipped,
        "pending": total.pending,
        "worked_seconds": round(sync.worked_seconds, 3),
    }


def started_sensor(configured: Sequence[ShopConnection]) -> SensorDefinition:
    """Return the sensor that asks for a run for each sync that waits for a worker."""

    @sensor(
        name=f"{NAME}_started_syncs",
        # By its name: Dagster binds the resources of a job after the sensor is made.
        job_name=JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Looks for syncs that were started or resumed, or whose worker is gone, and asks for a run for "
        "each. Runs of one shop take turns.",
    )
    def started_syncs(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> SensorResult:
        with store.connect() as connection:
            found = waiting(connection, configured)
        if not found:
            return SensorResult(skip_reason=SkipReason("no sync waits for a worker"), cursor="")
        under_way = _under_way(context)
        asked = _Asked.read(context.cursor)
        now, requests, kept = time.time(), [], {}
        for one in found:
            sync_id, moved = one.sync.sync_id, one.sync.updated_at.isoformat()
            before = asked.get(sync_id)
            if before is None or before.moved != moved:
                before = _Asked(moved)
            if sync_id not in under_way and now >= before.again_at:
                # No run key: it would de-duplicate for ever, also when a run died, or the sync was resumed.
                requests.append(_request(one))
                wait = min(FIRST_RETRY * 2 ** min(before.times, 10), LONGEST_RETRY)
                before = _Asked(moved, before.times + 1, now + wait)
            kept[sync_id] = before
        reason = None if requests else SkipReason(f"{len(found)} waiting syncs were asked for")
        return SensorResult(run_requests=requests, skip_reason=reason, cursor=_Asked.written(kept))

    return started_syncs


@dataclass(frozen=True, slots=True)
class _Asked:
    """How often a sync was asked for, kept in the cursor.

    Attributes:
        moved: when the sync was last touched; one that was touched since is asked for at once.
        times: how often in a row, without anybody having touched it.
        again_at: seconds since 1970; not again before.
    """

    moved: str
    times: int = 0
    again_at: float = 0.0

    @classmethod
    def read(cls, cursor: str | None) -> dict[str, "_Asked"]:
        return {name: cls(*one) for name, one in json.loads(cursor).items()} if cursor else {}

    @staticmethod
    def written(asked: Mapping[str, "_Asked"]) -> str:
        return json.dumps({name: [one.moved, one.times, one.again_at] for name, one in asked.items()})


def _under_way(context: SensorEvaluationContext) -> set[str]:
    runs = context.instance.get_runs(RunsFilter(job_name=JOB, statuses=_UNFINISHED))
    return {run.tags[SYNC_TAG] for run in runs if SYNC_TAG in run.tags}


def _request(one: Started) -> RunRequest:
    return RunRequest(
        run_config={"ops": {STEP: {"config": {"sync_id": one.sync.sync_id}}}},
        tags={SCOPE_TAG: scope_tag(one.shop), SYNC_TAG: one.sync.sync_id},
    )
