"""The job that a schedule, a person or the service starts: one cycle over all connections, in one run."""

from collections.abc import Iterator, Sequence

from dagster import (
    Config,
    DagsterRunStatus,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    Output,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    schedule,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.orchestration.intervals import cron_of
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.pipelines.marketplaces.asset_keys import CYCLE_JOB, CYCLE_STEP, CYCLE_TAG
from sync_pipelines.pipelines.marketplaces.assets import materializations, refuse_failures
from sync_pipelines.pipelines.marketplaces.connection import NAME, MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle

_UNFINISHED = [
    *(DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING),
    *(DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING),
]


class CycleOptions(Config):
    """What a cycle is asked to do; shown in the Launchpad."""

    connections: list[str] = Field(default_factory=list, description="Only these connections; empty: all active ones.")
    streams: list[str] = Field(default_factory=list, description="Only these of orders and products; empty: both.")
    anew: bool = Field(
        default=False, description="Read everything that the marketplaces still tell of, from the start."
    )

    def request(self, run_id: str) -> Request:
        """Return what is asked for.

        Raises:
            ConfigurationError: a stream is not known.
        """
        unknown = sorted(set(self.streams) - {stream.value for stream in Stream})
        if unknown:
            raise ConfigurationError(f"there is no stream {unknown[0]!r}; there are {', '.join(Stream)}")
        streams = tuple(stream for stream in Stream if not self.streams or stream.value in self.streams)
        return Request(run_id, streams, self.anew)


def cycle_job(connections: Sequence[MarketplaceConnection]) -> JobDefinition:
    """Return the job. Its run fails when all connections failed; of single failures its log and the status tell."""

    @op(name=CYCLE_STEP, description="Pull all active connections, several at a time.")
    def cycle(
        context: OpExecutionContext, store: ResourceParam[Engine], config: CycleOptions
    ) -> Iterator[Output[dict[str, object]]]:
        story = Story(context.log)
        with story as log:
            request = config.request(context.run_id)
            work = run_cycle(store, connections, request, log, list(config.connections) or None)
            outcome = run_stoppable(work, context.instance, context.run_id)
        for made in materializations(outcome):
            context.log_event(made)
        if not outcome.success:
            refuse_failures(outcome.connections)
        numbers = {name: value for name, value in outcome.result.items() if isinstance(value, int)}
        yield Output(outcome.result, metadata={**numbers, "story": story.rest()})

    @job(
        name=CYCLE_JOB,
        executor_def=in_process_executor,
        tags={SCOPE_TAG: CYCLE_TAG},
        description="Pull orders and products of all active connections. Run options: connections, streams, anew.",
    )
    def marketplaces_cycle() -> None:
        cycle()

    return marketplaces_cycle


def cycle_schedule(connections: Sequence[MarketplaceConnection], cycles: JobDefinition) -> ScheduleDefinition:
    """Return the schedule: at the shortest interval of the connections, unless a cycle is still under way."""

    @schedule(
        name=f"{NAME}_cycle_schedule",
        job=cycles,
        cron_schedule=cron_of(min(connection.interval for connection in connections)),
        default_status=DefaultScheduleStatus.RUNNING,
        description="Pulls all active connections.",
    )
    def cycle_tick(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        filters = RunsFilter(job_name=CYCLE_JOB, statuses=_UNFINISHED)
        if context.instance.get_runs_count(filters):
            return SkipReason("the last cycle is still under way")
        return RunRequest(tags={SCOPE_TAG: CYCLE_TAG})

    return cycle_tick
