"""Asset metadata: numbers that plot over time, and texts that read well in the UI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagster import MetadataValue, TableColumn, TableSchema

from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.engine.apply import Applied
from sync_pipelines.orchestration.reconcile_run import Progress, Read
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.store.findings import StandingFinding
from sync_pipelines.store.plans import StoredPlan

SHOWN_FINDINGS = 50
PLOTTED = (
    "create",
    "update",
    "adopt",
    "retire",
    "state_changes",
    "destructive",
    "drifted",
    "orphans",
    "conflicts",
    "withheld",
    "invalid",
    "waiting",
    "dead_lettered",
    "blocked",
)
"""Counts of a plan that are kept as numbers, so that the UI plots them over time."""


def of_snapshot(read: Read) -> Metadata:
    """Describe a snapshot, and what it took to read."""
    snapshot = read.snapshot
    numbers: Metadata = {
        "records": snapshot.records,
        "added": snapshot.added,
        "changed": snapshot.changed,
        "removed": snapshot.removed,
        "of_no_concern": snapshot.ignored,
        "peer_seconds": read.seconds,
        "peer_requests": read.requests,
        "sealed": MetadataValue.bool(snapshot.sealed),
        "scope": snapshot.identity,
    }
    numbers |= {f"position_{name}": value for name, value in snapshot.position.items()}
    if snapshot.unsealed:
        numbers["not_sealed_because"] = MetadataValue.md(_bullets(snapshot.unsealed))
    return numbers


def of_plan(
    plan: StoredPlan, preview: str, standing: Iterable[StandingFinding], waiting: Iterable[StoredPlan]
) -> Metadata:
    """Describe a plan: what a person wants to read first, then the numbers that plot.

    Arguments:
        waiting: other plans of the connection that wait for an approval.
    """
    texts: Metadata = {"preview": MetadataValue.md(preview), "plan": plan.hash, "state": plan.state}
    if plan.held_reasons:
        texts["held_because"] = MetadataValue.md(_bullets(plan.held_reasons))
    if held := [f"{one.hash[:12]}: {'; '.join(one.held_reasons)}" for one in waiting]:
        texts["waiting_for_approval"] = MetadataValue.md(_bullets(held))
    texts["findings"] = MetadataValue.md(findings_table(standing))
    return texts | {name: int(plan.counts[name]) for name in PLOTTED}


def of_applied(applied: Applied, plan: StoredPlan, tally: Mapping[Any, int], progress: Progress) -> Metadata:
    """Describe what came of a plan, and where all records of the scope stand now."""
    numbers: Metadata = {
        "scanned": sum(read.snapshot.records + read.snapshot.ignored for read in (progress.left,) if read is not None),
        "created": applied.actions["create"],
        "updated": applied.actions["update"],
        "adopted": applied.adopted,
        "retired": applied.actions["retire"],
        "state_changes": applied.state_changes,
        "failed": applied.failed,
        "stale": applied.outcomes["stale"],
        "seconds": round(applied.seconds, 3),
        "plan": plan.hash,
    }
    numbers |= {f"records_{state}": number for state, number in tally.items()}
    numbers |= {f"seconds_at_{peer}": seconds for peer, seconds in progress.peer_seconds.items()}
    return numbers | progress.numbers


def findings_table(found: Iterable[StandingFinding]) -> str:
    """Return standing orphans or conflicts as a markdown table."""
    rows = [
        f"| {f.kind} | {markdown_cell(f.natural_key)} | {markdown_cell(f.detail)} | {markdown_cell(f.key)} | "
        f"{f.first_seen:%Y-%m-%d %H:%M} |"
        for f in found
    ]
    if not rows:
        return "none"
    head = ["| kind | record | what was found | at the target | since (UTC) |", "|---|---|---|---|---|"]
    rest = [f"\n... and {len(rows) - SHOWN_FINDINGS} more"] if len(rows) > SHOWN_FINDINGS else []
    return "\n".join(head + rows[:SHOWN_FINDINGS] + rest)


def column_schema(columns: Mapping[str, str]) -> TableSchema:
    """Return the mapped fields as a column schema."""
    return TableSchema(columns=[TableColumn(name, description=text) for name, text in columns.items()])


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown_cell(line)}" for line in lines)
