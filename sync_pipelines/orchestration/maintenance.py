"""The job that prunes history every night, by the policy of the environment."""

from dataclasses import asdict

from dagster import DefaultScheduleStatus, OpExecutionContext, Output, ResourceParam, ScheduleDefinition, job, op
from sqlalchemy import Engine

from sync_pipelines.orchestration.run_retention import prune_runs
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.store.retention import prune
from sync_pipelines.store.retention_policy import load_retention_policy


@op(name="prune", description="Take away what is older than the policy keeps; export audit entries first.")
def prune_history(context: OpExecutionContext, store: ResourceParam[Engine]) -> Output[dict[str, int]]:
    """Prune the store and Dagster's own storage."""
    policy = load_retention_policy()
    pruned = asdict(prune(store, policy))
    for file in pruned.pop("files"):
        context.log.info(f"audit entries exported to {file}")
    numbers = {**pruned, "runs": prune_runs(context.instance, policy.runs)}
    return Output(numbers, metadata=numbers)


# The tag lets a second one wait for the first.
@job(name="maintenance", tags={SCOPE_TAG: "maintenance"}, description="Prune history; see docs/retention.md.")
def maintenance_job() -> None:
    """Prune history."""
    prune_history()


maintenance_schedule = ScheduleDefinition(
    name="maintenance_schedule",
    job=maintenance_job,
    cron_schedule="17 3 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Prunes history every night.",
)
