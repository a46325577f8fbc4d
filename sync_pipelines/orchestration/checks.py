"""The checks on a reconciled pair: what they mean, and how a run answers them.

A run reports its answers as evaluations of its own accord; the checks are no part of its job. A check that is planned
costs three rows of the event log (planned, output, evaluation), one that is reported costs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
)

from sync_pipelines.core.lifecycle import State
from sync_pipelines.orchestration import metadata
from sync_pipelines.orchestration.reconcile_run import held
from sync_pipelines.orchestration.spec import ProbeResult, ReconcilePipeline
from sync_pipelines.store.findings import ORPHAN, StandingFinding
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import Snapshot

ERROR, WARN = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
BLOCKING = frozenset({"sealed", "guard"})
"""Checks without which nothing is applied."""


def check_specs(pipeline: ReconcilePipeline) -> list[AssetCheckSpec]:
    """Return the checks that every reconcile answers."""
    plan, applied = pipeline.asset("plan"), pipeline.asset("applied")
    sealed = [
        AssetCheckSpec(
            "sealed",
            asset=pipeline.asset(f"{system}_snapshot"),
            blocking=True,
            description="Every page was read, the counts agree, the scope is the same, and it is not suddenly empty. "
            "Only then does absence mean that something is gone.",
        )
        for system in (pipeline.left, pipeline.right)
    ]
    return [
        *sealed,
        AssetCheckSpec(
            "guard",
            asset=plan,
            blocking=True,
            description="The plan does not take away more than the connection's limits allow.",
        ),
        AssetCheckSpec("drift", asset=plan, description=f"Nobody changed {pipeline.right} past the source."),
        AssetCheckSpec("orphans", asset=plan, description=f"Nothing exists in {pipeline.right} only."),
        AssetCheckSpec("conflicts", asset=plan, description="Every record can be matched without guessing."),
        AssetCheckSpec("converged", asset=applied, description="Both sides agree now, or a retry has a time."),
        AssetCheckSpec("dead_letters", asset=applied, description="No record was given up."),
        *(
            AssetCheckSpec(probe.name, asset=pipeline.asset(probe.asset), description=probe.description)
            for probe in pipeline.probes
        ),
    ]


def sealed(key: AssetKey, snapshot: Snapshot, *, applies: bool) -> AssetCheckResult:
    """Answer whether absence can be believed."""
    # A strange but complete snapshot goes on to a plan, so that the guard can hold it with its numbers and a person
    # can approve it; an incomplete one is good for nothing but looking.
    blocks = not snapshot.complete and applies
    return AssetCheckResult(
        asset_key=key,
        check_name="sealed",
        passed=snapshot.sealed,
        severity=ERROR if blocks else WARN,
        description="; ".join(snapshot.unsealed) or f"{snapshot.records} records, complete",
        metadata={"records": snapshot.records, "declared": snapshot.declared if snapshot.declared is not None else -1},
    )


def of_plan(
    key: AssetKey, plan: StoredPlan, standing: Sequence[StandingFinding], *, applies: bool
) -> Iterator[AssetCheckResult]:
    """Answer what a plan shows: the guard's verdict, drift, orphans and conflicts."""
    is_held, drifted = plan.state == "held", int(plan.counts["drifted"])
    approved = f"approved by {plan.approved_by}" if plan.approved_by else "within the limits"
    yield AssetCheckResult(
        asset_key=key,
        check_name="guard",
        passed=not is_held,
        severity=ERROR if applies else WARN,
        description=held(plan) if is_held else approved,
        metadata={"destructive": int(plan.counts["destructive"])},
    )
    yield AssetCheckResult(
        asset_key=key,
        check_name="drift",
        passed=not drifted,
        severity=WARN,
        description=f"{drifted} records drifted; the plan repairs them",
        metadata={"drifted": drifted},
    )
    orphans = [finding for finding in standing if finding.kind == ORPHAN]
    conflicts = [finding for finding in standing if finding.kind != ORPHAN]
    for name, found in (("orphans", orphans), ("conflicts", conflicts)):
        yield AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=not found,
            severity=WARN,
            description=f"{len(found)} {name}; none of them is touched",
            metadata={name: len(found), "table": MetadataValue.md(metadata.findings_table(found))},
        )


def of_applied(key: AssetKey, tally: Mapping[State, int], *, stale: int) -> Iterator[AssetCheckResult]:
    """Answer where the records stand after a run."""
    letters = tally[State.DEAD_LETTERED]
    waiting = {state.value: tally[state] for state in (State.OUT_OF_SYNC, State.FAILED, State.RETRYING) if tally[state]}
    text = ", ".join(f"{number} {state}" for state, number in waiting.items())
    yield AssetCheckResult(
        asset_key=key,
        check_name="converged",
        passed=not waiting and not stale,
        severity=WARN,
        description=text or ("some changes were stale; the next run plans them anew" if stale else "both sides agree"),
        metadata={"not_agreed": sum(waiting.values()), "stale": stale},
    )
    yield AssetCheckResult(
        asset_key=key,
        check_name="dead_letters",
        passed=not letters,
        severity=WARN,
        description=f"{letters} dead letters; see 'sync-pipelines dead-letter list'" if letters else "none",
        metadata={"dead_letters": letters},
    )


def of_probes(pipeline: ReconcilePipeline, answers: Mapping[str, ProbeResult]) -> Iterator[AssetCheckResult]:
    """Answer the pipeline's own checks, those that the run could tell about."""
    for probe in pipeline.probes:
        if (answer := answers.get(probe.name)) is not None:
            yield AssetCheckResult(
                asset_key=pipeline.asset(probe.asset),
                check_name=probe.name,
                passed=answer.passed,
                severity=answer.severity,
                description=answer.description,
                metadata=dict(answer.metadata),
            )


def key_of(result: AssetCheckResult) -> AssetCheckKey:
    """Return which check an answer is of."""
    assert result.asset_key is not None
    assert result.check_name is not None
    return AssetCheckKey(result.asset_key, result.check_name)


def evaluation(result: AssetCheckResult, scope: str) -> AssetCheckEvaluation:
    """Return an answer as the event that is stored."""
    key = key_of(result)
    return AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.passed,
        metadata={**result.metadata, "connection": scope},
        severity=result.severity,
        description=result.description,
        blocking=key.name in BLOCKING,
    )
