"""Syncs of shops as Dagster runs, carried out by this process and seen in the UI like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.runs import run_job
from sync_pipelines.cli.session import dagster_instance
from sync_pipelines.pipelines.commerce.asset_keys import JOB
from sync_pipelines.pipelines.commerce.assets import STEP
from sync_pipelines.pipelines.commerce.automation import range_tags, scope_tag
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS

if TYPE_CHECKING:
    from dagster import DagsterInstance

_PLANNED = {"create": "to create", "update": "to update", "retire": "to retire"}
_APPLIED = ("created", "updated", "retired")


@dataclass(frozen=True, slots=True)
class EntityRun:
    """What came of the sync of one entity.

    Attributes:
        new: records merged for the first time.
        merged: merged records whose content is another one now.
        conflicts: open ones.
        planned, applied: system -> what -> number of records.
        failed: records that could not be written.
        plans: system -> hash of the plan.
    """

    entity: str
    new: int = 0
    merged: int = 0
    conflicts: int = 0
    planned: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    applied: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    failed: int = 0
    plans: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShopRun:
    """What came of the sync of a shop.

    Attributes:
        problem: why it did not come to its end; empty when it did.
        entities: those that were reached.
    """

    shop: str
    run_id: str
    problem: str
    entities: Sequence[EntityRun]
    seconds: float


def synchronize_shop(
    connection: ShopConnection,
    entities: Sequence[EntityType],
    *,
    dry_run: bool = False,
    full: bool = False,
    approve: Sequence[str] = (),
    verbose: bool = False,
) -> ShopRun:
    """Synchronize some entities of a shop as a run of its job."""
    options: dict[str, Any] = {"mode": "plan"} if dry_run else {}
    options |= {"full": True} if full else {}
    options |= {"approve": list(approve)} if approve else {}
    options |= {"entities": [entity.value for entity in entities]} if len(entities) < len(connection.entities) else {}
    console = output.progress_console()
    with dagster_instance() as instance, console.status(f"synchronizing {connection.name}") as status:
        ended = run_job(
            instance,
            JOB,
            scope_tag(connection),
            {"ops": {STEP: {"config": options}}} if options else {},
            tags=range_tags(connection),
            verbose=verbose,
            say=status.update,
        )
        made = _made(instance, ended.run_id)
    problem = "" if ended.success else ended.reason or "the run failed"
    reached = [
        _entity_run(entity, made[connection.scope(entity)]) for entity in entities if connection.scope(entity) in made
    ]
    return ShopRun(connection.name, ended.run_id, problem, reached, round(ended.seconds, 3))


def _made(instance: DagsterInstance, run_id: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what a run materialized: partition -> last part of the asset's key -> metadata."""
    from dagster import DagsterEventType

    made: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.asset_materialization
        if materialization is not None and materialization.partition is not None:
            values = {name: value.value for name, value in materialization.metadata.items()}
            made.setdefault(materialization.partition, {})[materialization.asset_key.path[-1]] = values
    return made


def _entity_run(entity: EntityType, made: Mapping[str, Mapping[str, Any]]) -> EntityRun:
    plan, applied = made.get("plan", {}), made.get("applied", {})
    return EntityRun(
        entity=entity.value,
        new=plan.get("new", 0),
        merged=plan.get("merged", 0),
        conflicts=made.get("conflicts", {}).get("open", 0),
        planned={
            peer: {told: plan.get(f"{peer}_{name}", 0) for name, told in _PLANNED.items()} for peer in PEERS if plan
        },
        applied={peer: {name: applied.get(f"{peer}_{name}", 0) for name in _APPLIED} for peer in PEERS if applied},
        failed=sum(applied.get(f"{peer}_failed", 0) for peer in PEERS),
        plans={peer: plan[f"{peer}_plan"] for peer in PEERS if f"{peer}_plan" in plan},
        seconds=applied.get("seconds", 0.0),
    )


def tell_runs(done: Sequence[ShopRun], *, as_json: bool, dry_run: bool = False) -> None:
    """Print what came of the runs; end with 1 unless all came to their end."""
    show_runs(done, as_json=as_json, dry_run=dry_run)
    if any(run.problem for run in done):
        click.get_current_context().exit(1)


def show_runs(done: Sequence[ShopRun], *, as_json: bool, dry_run: bool = False) -> None:
    """Print what came of the runs."""
    if as_json:
        output.print_json(done if len(done) > 1 else done[0])
    else:
        columns = ["shop", "entity", "new", "merged", "conflicts", "in WooCommerce", "in Odoo", "failed", "s"]
        rows = [(run.shop, *_cells(one, dry_run=dry_run)) for run in done for one in run.entities]
        title = "Planned" if dry_run else "Synchronized"
        output.show(output.table(title, columns, rows, numbers=["new", "merged", "conflicts", "failed", "s"]))
    note_problems(done)


def note_problems(done: Sequence[ShopRun]) -> None:
    """Tell what kept runs from coming to their end."""
    for run in done:
        if run.problem:
            output.note(f"{run.shop}: {run.problem}")


def _cells(one: EntityRun, *, dry_run: bool) -> tuple[object, ...]:
    made = one.planned if dry_run else one.applied
    told = [
        ", ".join(f"{number} {action}" for action, number in made.get(system, {}).items() if number) or "-"
        for system in PEERS
    ]
    return one.entity, one.new, one.merged, one.conflicts, *told, one.failed, one.seconds
