"""The assets of a reconciled pair: both snapshots, the plan, and what was applied, with the checks on them."""

import asyncio
from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    asset,
)
from sqlalchemy import Engine

from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import preview
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.attempt import Outcome
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.reconcile import approve
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.orchestration import metadata
from sync_pipelines.orchestration.resources import Mode, RunOptions
from sync_pipelines.orchestration.spec import OpenPair, ReconcilePipeline
from sync_pipelines.store import findings, plans, states
from sync_pipelines.store.findings import ORPHAN
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.store.snapshots import Side, Snapshot

PREVIEWED_CHANGES = 50
PATIENCE = 120.0
"""Seconds that a step waits for another run of its scope, such as one that a chain event started."""
ERROR, WARN = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN


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
        _snapshot(pipeline, "left"),
        _snapshot(pipeline, "right"),
        _plan(pipeline),
        _applied(pipeline),
        AssetSpec(
            pipeline.target,
            deps=[pipeline.asset("applied")],
            group_name=pipeline.name,
            kinds={pipeline.right},
            owners=pipeline.owners,
            description=f"The {pipeline.name} as {pipeline.right} shows them. Outside of Dagster: kept in agreement.",
        ),
    ]


def _snapshot(pipeline: ReconcilePipeline, side: Side) -> AssetsDefinition:
    system = pipeline.left if side == "left" else pipeline.right
    name = f"{system}_snapshot"

    @asset(
        key=pipeline.asset(name),
        deps=[pipeline.source] if side == "left" else [],
        partitions_def=pipeline.partitions,
        group_name=pipeline.name,
        kinds={"postgres", system},
        owners=list(pipeline.owners),
        pool=system,
        description=f"What {system} says about the {pipeline.name}, read page by page into `sync.record`.",
        metadata={"dagster/column_schema": metadata.column_schema(pipeline.columns)},
        check_specs=[
            AssetCheckSpec(
                "sealed",
                asset=pipeline.asset(name),
                blocking=True,
                description="Every page was read, the counts agree, the scope is the same, and it is not suddenly "
                "empty. Only then does absence mean that something is gone.",
            )
        ],
    )
    def snapshot(
        context: AssetExecutionContext, store: ResourceParam[Engine], options: RunOptions
    ) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the bare name
        options.refuse_contradictions()
        taken, seconds, requests = asyncio.run(_extract(context, pipeline, store, side, options))
        return MaterializeResult(
            metadata=metadata.of_snapshot(taken, seconds, requests), check_results=[_sealed(taken, options)]
        )

    return snapshot


async def _extract(
    context: AssetExecutionContext, pipeline: ReconcilePipeline, store: Engine, side: Side, options: RunOptions
) -> tuple[Snapshot, float, int]:
    async with (
        pipeline.open(context.partition_key, store) as opened,
        working_on(store, opened.pair, context.run.run_id, context.log, patience=PATIENCE) as run,
    ):
        taken = await extract(run, side, options.selected)
        _tell_peers(context, opened)
        return taken, round(sum(opened.peer_seconds.values()), 3), sum(opened.peer_requests.values())


def _tell_peers(context: AssetExecutionContext, opened: OpenPair) -> None:
    spent = ", ".join(
        f"{peer} {seconds:.2f} s in {opened.peer_requests[peer]} requests"
        for peer, seconds in opened.peer_seconds.items()
        if opened.peer_requests[peer]
    )
    if spent:
        context.log.info("time at the peers: %s", spent)


def _sealed(snapshot: Snapshot, options: RunOptions) -> AssetCheckResult:
    # A strange but complete snapshot goes on to a plan, so that the guard can hold it with its numbers and a person
    # can approve it; an incomplete one is good for nothing but looking.
    blocks = not snapshot.complete and options.mode is Mode.apply
    return AssetCheckResult(
        check_name="sealed",
        passed=snapshot.sealed,
        severity=ERROR if blocks else WARN,
        description="; ".join(snapshot.unsealed) or f"{snapshot.records} records, complete",
        metadata={"records": snapshot.records, "declared": snapshot.declared if snapshot.declared is not None else -1},
    )


def _plan(pipeline: ReconcilePipeline) -> AssetsDefinition:
    key = pipeline.asset("plan")

    @asset(
        key=key,
        deps=[pipeline.asset(f"{pipeline.left}_snapshot"), pipeline.asset(f"{pipeline.right}_snapshot")],
        partitions_def=pipeline.partitions,
        group_name=pipeline.name,
        kinds={"postgres"},
        owners=list(pipeline.owners),
        description=f"The smallest set of changes that makes {pipeline.right} agree with {pipeline.left}, addressed by "
        "its hash. Approve a held plan with the run option `approve`.",
        check_specs=[
            AssetCheckSpec(
                "guard",
                asset=key,
                blocking=True,
                description="The plan does not take away more than the connection's limits allow.",
            ),
            AssetCheckSpec("drift", asset=key, description=f"Nobody changed {pipeline.right} past the source."),
            AssetCheckSpec("orphans", asset=key, description=f"Nothing exists in {pipeline.right} only."),
            AssetCheckSpec("conflicts", asset=key, description="Every record can be matched without guessing."),
        ],
    )
    def plan(context: AssetExecutionContext, store: ResourceParam[Engine], options: RunOptions) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the bare name
        made = asyncio.run(_make_plan(context, pipeline, store, options))
        with store.begin() as connection:
            shown = list(plans.changes(connection, made.id, limit=PREVIEWED_CHANGES))
            standing = findings.standing(connection, pipeline.name, scope=context.partition_key)
        text = preview(made.hash, shown, total=made.changes, shown=PREVIEWED_CHANGES)
        return MaterializeResult(
            metadata=metadata.of_plan(made, text, standing),
            check_results=[_guard(made, options), *_look_outs(made, standing)],
        )

    return plan


async def _make_plan(
    context: AssetExecutionContext, pipeline: ReconcilePipeline, store: Engine, options: RunOptions
) -> StoredPlan:
    async with (
        pipeline.open(context.partition_key, store) as opened,
        working_on(store, opened.pair, context.run.run_id, context.log, patience=PATIENCE) as run,
    ):
        if options.approve:
            return approve(run, options.approve, context.run.tags.get("user", "the Launchpad"))
        return await in_thread(compare, run, options.selected, force=options.force_full)


def _guard(plan: StoredPlan, options: RunOptions) -> AssetCheckResult:
    held = plan.state == "held"
    text = f"plan {plan.hash[:12]} is held: {'; '.join(plan.held_reasons)}. Approve it with approve: {plan.hash[:12]}"
    approved = f"approved by {plan.approved_by}" if plan.approved_by else "within the limits"
    return AssetCheckResult(
        check_name="guard",
        passed=not held,
        severity=ERROR if options.mode is Mode.apply else WARN,
        description=text if held else approved,
        metadata={"destructive": int(plan.counts["destructive"])},
    )


def _look_outs(plan: StoredPlan, standing: list[findings.StandingFinding]) -> Iterator[AssetCheckResult]:
    drifted = int(plan.counts["drifted"])
    orphans = [finding for finding in standing if finding.kind == ORPHAN]
    conflicts = [finding for finding in standing if finding.kind != ORPHAN]
    yield AssetCheckResult(
        check_name="drift",
        passed=not drifted,
        severity=WARN,
        description=f"{drifted} records drifted; the plan repairs them",
        metadata={"drifted": drifted},
    )
    for name, found in (("orphans", orphans), ("conflicts", conflicts)):
        yield AssetCheckResult(
            check_name=name,
            passed=not found,
            severity=WARN,
            description=f"{len(found)} {name}; none of them is touched",
            metadata={name: len(found), "table": MetadataValue.md(metadata.findings_table(found))},
        )


def _applied(pipeline: ReconcilePipeline) -> AssetsDefinition:
    key = pipeline.asset("applied")

    @asset(
        key=key,
        deps=[pipeline.asset("plan")],
        partitions_def=pipeline.partitions,
        group_name=pipeline.name,
        kinds={pipeline.right},
        owners=list(pipeline.owners),
        pool=pipeline.right,
        output_required=False,
        description=f"The plan carried out in {pipeline.right}: look, intend, call, read back, settle. "
        "Not materialized in plan mode.",
        check_specs=[
            AssetCheckSpec("converged", asset=key, description="Both sides agree now, or a retry has a time."),
            AssetCheckSpec("dead_letters", asset=key, description="No record was given up."),
        ],
    )
    def applied(
        context: AssetExecutionContext, store: ResourceParam[Engine], options: RunOptions
    ) -> Iterator[MaterializeResult | AssetCheckResult]:  # type: ignore[type-arg]  # Dagster reads the bare name
        scope = context.partition_key
        if options.mode is Mode.plan:
            context.log.info("plan mode: nothing is applied")
            yield from _afterwards(_tally(store, pipeline, scope), stale=0)
            return
        outcome, plan, peers = asyncio.run(_carry_out(context, pipeline, store, options))
        tally = _tally(store, pipeline, scope)
        yield MaterializeResult(
            metadata=metadata.of_applied(outcome, plan, tally, peers),
            check_results=list(_afterwards(tally, stale=outcome.outcomes[Outcome.STALE])),
        )

    return applied


async def _carry_out(
    context: AssetExecutionContext, pipeline: ReconcilePipeline, store: Engine, options: RunOptions
) -> tuple[Applied, StoredPlan, dict[str, float]]:
    async with (
        pipeline.open(context.partition_key, store) as opened,
        working_on(store, opened.pair, context.run.run_id, context.log, patience=PATIENCE) as run,
    ):
        with store.begin() as connection:
            plan = (
                plans.find_plan(connection, options.approve)
                if options.approve
                else plans.plan_to_apply(connection, run.scope, context.run.run_id)
            )
        if plan.state == "superseded":
            # A run past the queue has planned anew meanwhile; what this one saw is out of date.
            context.log.warning("plan %s was superseded by another run; nothing is applied", plan.hash[:12])
            return Applied(), plan, dict(opened.peer_seconds)
        outcome = await apply(run, plan)
        _tell_peers(context, opened)
        return outcome, plan, dict(opened.peer_seconds)


def _tally(store: Engine, pipeline: ReconcilePipeline, scope: str) -> dict[State, int]:
    with store.begin() as connection:
        return states.tally(connection, ensure_scope(connection, pipeline.name, scope))


def _afterwards(tally: dict[State, int], *, stale: int) -> Iterator[AssetCheckResult]:
    letters = tally[State.DEAD_LETTERED]
    waiting = {state.value: tally[state] for state in (State.OUT_OF_SYNC, State.FAILED, State.RETRYING) if tally[state]}
    text = ", ".join(f"{number} {state}" for state, number in waiting.items())
    yield AssetCheckResult(
        check_name="converged",
        passed=not waiting and not stale,
        severity=WARN,
        description=text or ("some changes were stale; the next run plans them anew" if stale else "both sides agree"),
        metadata={"not_agreed": sum(waiting.values()), "stale": stale},
    )
    yield AssetCheckResult(
        check_name="dead_letters",
        passed=not letters,
        severity=WARN,
        description=f"{letters} dead letters; see 'sync-pipelines dead-letter list'" if letters else "none",
        metadata={"dead_letters": letters},
    )
