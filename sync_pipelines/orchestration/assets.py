"""The assets of a reconciled pair: both snapshots, the plan, and what was applied. One step makes them all.

They are assets of their own because people look at them apart, and one step because a reconcile is one thing: both
sides are read at the same time and nobody else works on the connection in between.
"""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    ResourceParam,
    multi_asset,
)
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.core.plan import preview
from sync_pipelines.orchestration import checks, metadata
from sync_pipelines.orchestration.reconcile_run import Progress, Request, carry_out
from sync_pipelines.orchestration.reporting import Event, Outcome, reported
from sync_pipelines.orchestration.resources import Mode, RunOptions
from sync_pipelines.orchestration.spec import Metadata, ReconcilePipeline
from sync_pipelines.orchestration.stopping import run_stoppable
from sync_pipelines.orchestration.story import Story
from sync_pipelines.store import findings, plans, states
from sync_pipelines.store.scopes import ensure_scope

PREVIEWED_CHANGES = 50


def reconcile_assets(pipeline: ReconcilePipeline) -> list[AssetsDefinition | AssetSpec]:
    """Return the pipeline's assets in the order of their lineage, from peer to peer."""
    return [
        AssetSpec(
            pipeline.source,
            group_name=pipeline.name,
            kinds={pipeline.left},
            owners=pipeline.owners,
            description=f"The {pipeline.name} as {pipeline.left} has them. Outside of Dagster: read, never written.",
        ),
        _reconcile(pipeline),
        AssetSpec(
            pipeline.target,
            deps=[pipeline.asset("applied")],
            group_name=pipeline.name,
            kinds={pipeline.right},
            owners=pipeline.owners,
            description=f"The {pipeline.name} as {pipeline.right} shows them. Outside of Dagster: kept in agreement.",
        ),
    ]


def _reconcile(pipeline: ReconcilePipeline) -> AssetsDefinition:
    @multi_asset(
        name=f"{pipeline.name}__reconcile",
        specs=_specs(pipeline),
        check_specs=checks.check_specs(pipeline),
        partitions_def=pipeline.partitions,
        # The checks are answered by every run without being planned by it, and a run for some of the assets only
        # looks: both need a step that can be asked for a part.
        can_subset=True,
        pool=pipeline.right,
        description=f"Read {pipeline.left} and {pipeline.right}, plan, and apply to {pipeline.right}.",
    )
    def reconcile(context: AssetExecutionContext, store: ResourceParam[Engine], options: RunOptions) -> Iterator[Event]:
        request = _request(context, pipeline, options)
        progress, story = Progress(), Story(context.log)
        try:
            with story as log:
                work = carry_out(pipeline, store, request, log, progress)
                run_stoppable(work, context.instance, context.run.run_id)
        except SyncError:
            # What was read and planned until then is what people look at to understand the failure.
            yield from reported(context, request.scope, _outcome(pipeline, store, request, progress))
            raise
        if progress.applied is None:
            story.flush()
        yield from reported(context, request.scope, _outcome(pipeline, store, request, progress, story.rest()))

    return reconcile


def _specs(pipeline: ReconcilePipeline) -> list[AssetSpec]:
    def spec(name: str, deps: list[AssetKey], kinds: set[str], description: str, **more: Any) -> AssetSpec:
        return AssetSpec(
            pipeline.asset(name),
            deps=deps,
            kinds=kinds,
            description=description,
            group_name=pipeline.name,
            owners=list(pipeline.owners),
            # A run that fails on the way has not made what comes after.
            skippable=True,
            **more,
        )

    columns = {"dagster/column_schema": metadata.column_schema(pipeline.columns)}
    snapshot = pipeline.asset(f"{pipeline.left}_snapshot")
    sides = {pipeline.left: [pipeline.source], pipeline.right: []}
    return [
        *(
            spec(
                f"{system}_snapshot",
                deps,
                {"postgres", system},
                f"What {system} says about the {pipeline.name}, read page by page into `sync.record`.",
                metadata=columns,
            )
            for system, deps in sides.items()
        ),
        *(spec(one.name, [snapshot], {"postgres", *one.kinds}, one.description) for one in pipeline.derived),
        spec(
            "plan",
            [pipeline.asset(f"{system}_snapshot") for system in sides],
            {"postgres"},
            f"The smallest set of changes that makes {pipeline.right} agree with {pipeline.left}, addressed by its "
            "hash. Approve a held plan with the run option `approve`.",
        ),
        spec(
            "applied",
            [pipeline.asset("plan")],
            {pipeline.right},
            f"The plan carried out in {pipeline.right}: look, intend, call, read back, settle. Not materialized in "
            "plan mode.",
        ),
    ]


def _request(context: AssetExecutionContext, pipeline: ReconcilePipeline, options: RunOptions) -> Request:
    options.refuse_contradictions()
    if not context.has_partition_key:
        raise ConfigurationError(
            f"no connection was chosen; launch the job {pipeline.job_name} with the connection as its partition"
        )
    applies = options.mode is Mode.apply and pipeline.asset("applied") in context.selected_asset_keys
    if options.approve and not applies:
        raise ConfigurationError(
            "options.approve lets a plan through, but the asset 'applied' is not part of this run; "
            f"launch the job {pipeline.job_name}"
        )
    return Request(
        scope=context.partition_key,
        run_id=context.run.run_id,
        user=context.run.tags.get("user", "the Launchpad"),
        applies=applies,
        keys=options.selected,
        approve=options.approve,
        force=options.force_full,
    )


def _outcome(
    pipeline: ReconcilePipeline, store: Engine, request: Request, progress: Progress, told: str | None = None
) -> Iterator[Outcome]:
    """Yield what a run came to, in the order of the lineage.

    Arguments:
        told: the run's story; it goes with what was applied instead of being an event of its own.
    """

    def made(key: AssetKey, of: Metadata, description: str | None = None) -> AssetMaterialization:
        return AssetMaterialization(key, description, of, request.scope)

    for system, read in ((pipeline.left, progress.left), (pipeline.right, progress.right)):
        if read is not None:
            key = pipeline.asset(f"{system}_snapshot")
            yield made(key, metadata.of_snapshot(read))
            yield checks.sealed(key, read.snapshot, applies=request.applies)
    for name, said in progress.derived.items():
        yield made(pipeline.asset(name), said)
    yield from checks.of_probes(pipeline, progress.answers)
    plan, applied = progress.plan, progress.applied
    if plan is None:
        return
    with store.begin() as connection:
        shown = list(plans.changes(connection, plan.id, limit=PREVIEWED_CHANGES))
        standing = findings.standing(connection, pipeline.name, scope=request.scope)
        tally = states.tally(connection, ensure_scope(connection, pipeline.name, request.scope))
        waiting = [one for one in plans.held(connection, pipeline.name, request.scope) if one.id != plan.id]
    key = pipeline.asset("plan")
    text = preview(plan.hash, shown, total=plan.changes, shown=PREVIEWED_CHANGES)
    yield made(key, metadata.of_plan(plan, text, standing, waiting))
    yield from checks.of_plan(key, plan, standing, applies=request.applies)
    key = pipeline.asset("applied")
    if applied is not None:
        yield made(key, metadata.of_applied(applied, plan, tally, progress), told)
    if applied is not None or not request.applies:
        yield from checks.of_applied(key, tally, stale=applied.outcomes["stale"] if applied else 0)
