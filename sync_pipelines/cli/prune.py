"""``sync-pipelines prune``: take away history that is older than the policy keeps."""

from __future__ import annotations

from dataclasses import asdict

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.session import dagster_instance, open_store
from sync_pipelines.store.retention import prune as prune_store
from sync_pipelines.store.retention_policy import load_retention_policy


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be taken away.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(dry_run: bool, as_json: bool) -> None:
    """Take away history that is older than the policy keeps.

    The job "maintenance" does the same every night. Days are set by SYNC_KEEP_SNAPSHOTS_DAYS, SYNC_KEEP_PLANS_DAYS,
    SYNC_KEEP_EFFECTS_DAYS, SYNC_KEEP_AUDIT_DAYS and SYNC_KEEP_RUNS_DAYS; 0 keeps everything. Audit entries are first
    exported to files in SYNC_AUDIT_ARCHIVE. What the next run needs stays, however old.
    """
    from sync_pipelines.orchestration.run_retention import prune_runs

    policy = load_retention_policy()
    with open_store() as engine, dagster_instance() as instance:
        pruned = prune_store(engine, policy, dry_run=dry_run)
        runs = prune_runs(instance, policy.runs, dry_run=dry_run)
    answer = {"dry_run": dry_run, **asdict(pruned), "runs": runs}
    if as_json:
        output.print_json(answer)
        return
    kinds = ("effects", "plans", "snapshots", "audit", "runs")
    rows = [(kind, getattr(policy, kind) or "for ever", answer[kind]) for kind in kinds]
    title = "Would be pruned" if dry_run else "Pruned"
    output.show(output.table(title, ["what", "kept, days", "rows"], rows, numbers=["kept, days", "rows"]))
    for file in pruned.files:
        output.note(f"audit entries exported to {file}")
