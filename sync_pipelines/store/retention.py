"""Takes away history that the policy does not keep any more, and never what the next run needs.

These stay however old they are: links and records; plans that are not over, the newest plan and the newest full applied
plan of a scope, and plans that an unsettled write, an open dead letter or a sync under way rests on; the newest
snapshots of a side and those of kept plans; unsettled writes, and the newest write of every record.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from sync_pipelines.store.audit_archive import archive_audit
from sync_pipelines.store.retention_policy import RetentionPolicy
from sync_pipelines.store.statements import text

BATCH = 5000
"""Rows that are taken away in one transaction, so that nobody waits long for one of them."""
_EFFECTS = (
    "SELECT e.id FROM sync.effect e WHERE e.state IN ('settled', 'failed', 'resolved') "
    "AND e.settled_at < now() - make_interval(days => :effects) AND EXISTS "
    "(SELECT FROM sync.effect n WHERE n.scope_id = e.scope_id AND n.key = e.key AND n.id > e.id)"
)
_PLANS = (
    "SELECT p.id FROM sync.plan p WHERE p.state IN ('applied', 'superseded') "
    "AND p.created_at < now() - make_interval(days => :plans) "
    "AND coalesce(p.applied_at < now() - make_interval(days => :plans), true) "
    "AND EXISTS (SELECT FROM sync.plan n WHERE n.scope_id = p.scope_id AND n.id > p.id) "
    # Whether a reconcile is owed, and when a scope was last reconciled, is asked of the newest full one.
    "AND (p.state <> 'applied' OR p.keys IS NOT NULL OR p.outcome->>'stopped' IS NOT NULL OR EXISTS "
    "(SELECT FROM sync.plan n WHERE n.scope_id = p.scope_id AND n.id > p.id AND n.state = 'applied' "
    "AND n.keys IS NULL AND n.outcome->>'stopped' IS NULL)) "
    "AND NOT EXISTS (SELECT FROM sync.effect e WHERE e.plan_id = p.id AND e.state IN ('intended', 'in_doubt')) "
    "AND NOT EXISTS (SELECT FROM sync.dead_letter d WHERE d.scope_id = p.scope_id AND d.state = 'open' "
    "AND d.plan_hash = p.hash) "
    "AND NOT EXISTS (SELECT FROM sync.sync_orchestration o WHERE o.sync_id = p.run_id AND o.completed_at IS NULL)"
)
_SNAPSHOTS = (
    "SELECT s.id FROM sync.snapshot s WHERE s.started_at < now() - make_interval(days => :snapshots) "
    "AND EXISTS (SELECT FROM sync.snapshot n WHERE n.scope_id = s.scope_id AND n.side = s.side AND n.id > s.id) "
    "AND (s.selective OR EXISTS (SELECT FROM sync.snapshot n WHERE n.scope_id = s.scope_id AND n.side = s.side "
    "AND n.id > s.id AND NOT n.selective)) "
    "AND (s.selective OR s.sealed_at IS NULL OR EXISTS (SELECT FROM sync.snapshot n WHERE n.scope_id = s.scope_id "
    "AND n.side = s.side AND n.id > s.id AND NOT n.selective AND n.sealed_at IS NOT NULL)) "
    "AND NOT EXISTS (SELECT FROM sync.plan p WHERE s.id = p.left_snapshot AND p.id NOT IN (SELECT id FROM gone)) "
    "AND NOT EXISTS (SELECT FROM sync.plan p WHERE s.id = p.right_snapshot AND p.id NOT IN (SELECT id FROM gone))"
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were taken away, or would be; ``files`` are the new archives of the audit log."""

    effects: int
    plans: int
    snapshots: int
    audit: int
    files: tuple[str, ...] = ()


def prune(engine: Engine, policy: RetentionPolicy, *, dry_run: bool = False) -> Pruned:
    """Apply a policy to the store. May be stopped at any time: the next one goes on.

    Arguments:
        dry_run: only count.

    Raises:
        SyncError: an archive of the audit log cannot be written, or the log is broken; it is left whole then.
    """
    days = {"effects": policy.effects, "plans": policy.plans, "snapshots": policy.snapshots}
    # What is planned against goes after the plans; before them, those that are about to go count as gone.
    gone = f"gone AS MATERIALIZED ({_PLANS if policy.plans else 'SELECT id FROM sync.plan WHERE false'})"
    wanted = {"effect": ("effects", "", _EFFECTS), "plan": ("plans", "", _PLANS)}
    wanted["snapshot"] = ("snapshots", f"WITH {gone} ", _SNAPSHOTS)
    numbers = {}
    for table, (kind, head, query) in wanted.items():
        if not days[kind]:
            numbers[kind] = 0
        elif dry_run:
            with engine.connect() as connection:
                counted = text(f"{head}SELECT count(*) FROM ({query}) AS old")
                numbers[kind] = int(connection.execute(counted, days).scalar_one())
        else:
            numbers[kind] = _delete(engine, table, f"{head}{query}", days)
    archived = archive_audit(engine, policy.audit, policy.archive_folder, dry_run=dry_run) if policy.audit else []
    return Pruned(
        **numbers,
        audit=sum(one.last - one.first + 1 for one in archived),
        files=() if dry_run else tuple(one.file for one in archived),
    )


def _delete(engine: Engine, table: str, query: str, days: dict[str, int]) -> int:
    total = 0
    while True:
        with engine.begin() as connection:
            ids = _some(connection, query, days)
            connection.execute(text(f"DELETE FROM sync.{table} WHERE id = ANY (CAST(:ids AS bigint[]))"), {"ids": ids})
        total += len(ids)
        if len(ids) < BATCH:
            return total


def _some(connection: Connection, query: str, days: dict[str, int]) -> list[int]:
    return list(connection.execute(text(f"{query} LIMIT {BATCH}"), days).scalars())
