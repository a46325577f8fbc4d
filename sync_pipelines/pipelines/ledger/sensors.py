"""What starts runs of a ledger: a look at its tip, days that are not derived yet, and a schedule as the fallback."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from datetime import date, timedelta

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    schedule,
    sensor,
)
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError
from sync_pipelines.orchestration.automation import Job
from sync_pipelines.orchestration.intervals import cron_of
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.day_assets import days_of
from sync_pipelines.pipelines.ledger.live import refresh_pending
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.pipelines.ledger.source import Tip
from sync_pipelines.store.ledger import derivation, positions
from sync_pipelines.store.ledger.positions import Position

LOOK_SECONDS = 15
"""How often it is looked for days that wait to be derived; a question to our own database."""
FIRST_RETRY, LONGEST_RETRY = 60, 3600
"""Seconds until days that were asked for and still wait are asked for again; doubled each time."""
NEIGHBORS = timedelta(days=7)
"""Days that lie so close together are derived by one run."""
_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]
_UNFINISHED = [*_WAITING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def import_tag(connection: LedgerConnection) -> str:
    """Value of the run tag by which imports of one canister take turns."""
    return f"{NAME}/{connection.name}"


def days_tag(connection: LedgerConnection) -> str:
    """The same for deriving its days, which may go on beside an import."""
    return f"{NAME}/{connection.name}/days"


def tip_sensor(connection: LedgerConnection, job: Job) -> SensorDefinition:
    """Return the sensor that looks at the canister's tip and asks for one import each time that it has advanced."""

    @sensor(
        name=f"{NAME}_{connection.slug}_tip",
        job=job,
        minimum_interval_seconds=connection.poll_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Looks at the tip of {connection.canister_id} every {connection.poll_seconds} s, and asks for one "
        "import each time that it has advanced.",
    )
    def tip(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> SensorResult:
        try:
            looked = asyncio.run(_look(connection, store, context.log))
        except PeerError as error:
            context.log.warning("%s", error)
            return SensorResult(skip_reason=SkipReason(str(error)), cursor=context.cursor)
        position, end = looked.position, _end_of(looked.tip)
        here = _end_of_position(position, looked.tip)
        if end == here:
            return _skip(f"nothing new: everything up to {looked.tip.end} is stored", end)
        if looked.tip.end < (position.next_position or 0 if position else 0):
            # The import that the schedule starts tells a node that lags from a ledger that was cut.
            return _skip(f"the node that answered ends at {looked.tip.end}, before what is stored", context.cursor)
        if context.cursor == end:
            return _skip(f"position {looked.tip.end} was asked for; what keeps it waiting is in its run", end)
        if has_run(context.instance, import_tag(connection), _WAITING):
            return _skip("an import waits for its turn: it will see this, too", context.cursor)
        generation = position.generation if position else 1
        request = RunRequest(
            run_key=f"{connection.name}:{generation}:{here}->{end}",
            tags={SCOPE_TAG: import_tag(connection)},
        )
        return SensorResult(run_requests=[request], cursor=end)

    return tip


@dataclass(frozen=True, slots=True)
class _Looked:
    position: Position | None
    tip: Tip


async def _look(connection: LedgerConnection, store: Engine, log: logging.Logger) -> _Looked:
    # Who comes by every few seconds does not wait for a peer that is out of order.
    patient = connection.model_copy(update={"max_retries": 0})
    async with open_ledger(patient, store) as opened:
        tip = await opened.source.tip()
        position = position_of(store, connection.name)
        if position is not None and position.canister_id != connection.canister_id:
            # What another canister says tells nothing of what is stored. The import refuses to mix them.
            return _Looked(None, tip)
        if connection.live:
            try:
                await refresh_pending(store, opened.canister, connection.name)
            except PeerError as error:
                # What is committed is imported all the same.
                log.warning("the block in the making could not be looked at: %s", error)
    if position is not None and position.next_position is not None:
        behind = tip.end < position.next_position
        with store.begin() as transaction:
            positions.note_tip(transaction, position.canister, tip.end, tip.blocks, tip.timestamp_ns, behind=behind)
    return _Looked(position, tip)


def _end_of(tip: Tip) -> str:
    """Return what names the end of a chain: where it is, and which block is the last."""
    return f"{tip.end}:{tip.hash.hex()[:16]}"


def _end_of_position(position: Position | None, tip: Tip) -> str:
    if position is None or position.next_position is None:
        return f"{tip.data_start}:"
    # A canister that does not say which block is its last is taken by its length.
    return f"{position.next_position}:{position.last_hash.hex()[:16] if tip.hash else ''}"


def _skip(reason: str, cursor: str | None) -> SensorResult:
    return SensorResult(skip_reason=SkipReason(reason), cursor=cursor)


def days_sensor(connection: LedgerConnection, job: Job) -> SensorDefinition:
    """Return the sensor that asks for one run over the days whose blocks were not derived yet."""
    partitions = days_of(connection)

    @sensor(
        name=f"{NAME}_{connection.slug}_days",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Looks for days with blocks that were not derived yet, and asks for one run over their range.",
    )
    def days(context: SensorEvaluationContext, store: ResourceParam[Engine]) -> SensorResult:
        position = position_of(store, connection.name)
        if position is None:
            return _skip("nothing was imported yet", None)
        with store.connect() as transaction:
            stale = derivation.stale_days(transaction, position.canister)
        if not stale:
            return _skip("every day is derived", None)
        if has_run(context.instance, days_tag(connection), _UNFINISHED):
            return _skip(f"{len(stale)} days wait for the run before", context.cursor)
        first, last = range_of(stale, partitions)
        what = f"{first}..{last}@{position.generation}:{position.next_position}"
        asked = _Asked.of(context.cursor)
        if asked.what == what and time.time() < asked.again_at:
            return _skip(f"{first} to {last} was asked for and is not derived; asking again soon", context.cursor)
        times = asked.times + 1 if asked.what == what else 1
        wait = min(FIRST_RETRY * 2 ** min(times - 1, 20), LONGEST_RETRY)
        request = RunRequest(
            run_key=f"{connection.name}:{what}:{times}:{int(time.time())}",
            tags={
                SCOPE_TAG: days_tag(connection),
                ASSET_PARTITION_RANGE_START_TAG: first,
                ASSET_PARTITION_RANGE_END_TAG: last,
            },
        )
        return SensorResult(run_requests=[request], cursor=_Asked(what, times, time.time() + wait).cursor)

    return days


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for last, kept in the cursor.

    Attributes:
        what: the range, and the position it was asked for at.
        times: how often in a row.
        again_at: seconds since 1970; not again before.
    """

    what: str = ""
    times: int = 0
    again_at: float = 0.0

    @classmethod
    def of(cls, cursor: str | None) -> "_Asked":
        return cls(**json.loads(cursor)) if cursor else cls()

    @property
    def cursor(self) -> str:
        return json.dumps({"what": self.what, "times": self.times, "again_at": self.again_at})


def range_of(stale: list[date], partitions: DailyPartitionsDefinition) -> tuple[str, str]:
    """Return the partitions of the first days that lie together.

    A day before the first partition, or after the last one, is derived with that.
    """
    first = last = stale[0]
    for day in stale[1:]:
        if day - last > NEIGHBORS:
            break
        last = day
    low, high = partitions.get_first_partition_key(), partitions.get_last_partition_key()
    assert low is not None
    assert high is not None
    return min(max(first.isoformat(), low), high), min(max(last.isoformat(), low), high)


def fallback_schedules(connection: LedgerConnection, job: Job) -> list[ScheduleDefinition]:
    """Return the schedule that imports whatever the sensor says; none when the connection wants none."""
    if not connection.interval:
        return []

    @schedule(
        name=f"{NAME}_{connection.slug}_every_{connection.interval}_s",
        job=job,
        cron_schedule=cron_of(connection.interval),
        default_status=DefaultScheduleStatus.RUNNING,
        description="Imports what is new, in case that the sensor does not: after a failed run, or when it is stopped.",
    )
    def fallback(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if has_run(context.instance, import_tag(connection), _UNFINISHED):
            return SkipReason("an import is under way")
        return RunRequest(tags={SCOPE_TAG: import_tag(connection)})

    return [fallback]


def has_run(instance: DagsterInstance, tag: str, statuses: list[DagsterRunStatus]) -> bool:
    """Say whether a run of these statuses has the scope's tag."""
    return instance.get_runs_count(RunsFilter(tags={SCOPE_TAG: tag}, statuses=statuses)) > 0
