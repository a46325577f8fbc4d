"""What became of the records of a sync. Counted from its plans as long as it goes on, kept as numbers afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.orchestration import ConflictStrategy, Counts, SyncEntity, SyncSystem
from sync_pipelines.store.conflicts import Conflict, of_scopes
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement, text

Part = tuple[SyncSystem, SyncEntity]


def begin(connection: Connection, sync: Orchestration, part: Part, target: Scope, pair: Scope) -> None:
    """Note where the records of an entity and a system are found.

    Arguments:
        target: scope in which the system is the target.
        pair: scope of the merged records.
    """
    connection.execute(
        text(
            "UPDATE sync.sync_item SET scope_id = :target, pair_scope_id = :pair, begun_at = coalesce(begun_at, now()) "
            "WHERE sync_id = :id AND system = :system AND entity_type = :entity"
        ),
        {"id": sync.sync_id, "system": part[0], "entity": part[1], "target": target.id, "pair": pair.id},
    )


def counts(connection: Connection, sync: Orchestration, *, over: bool = False) -> dict[Part, Counts]:
    """Return what became of the records of a sync so far, for each system and entity.

    Arguments:
        over: nothing more will be done: what is pending was skipped, or failed.
    """
    kept = connection.execute(
        text("SELECT * FROM sync.sync_item WHERE sync_id = :id ORDER BY position"), {"id": sync.sync_id}
    ).all()
    found = {(SyncSystem(row.system), SyncEntity(row.entity_type)): Counts() for row in kept}
    if kept and all(row.total is not None for row in kept):
        numbers = [Counts(row.processed, row.failed, row.skipped, row.pending) for row in kept]
        return dict(zip(found, numbers, strict=True))
    lenient = sync.config.conflictStrategy is ConflictStrategy.SKIP
    rows = connection.execute(
        text(statement("sync_items")), {"sync_id": sync.sync_id, "over": over, "lenient": lenient}
    )
    for row in rows:
        part = SyncSystem(row.system), SyncEntity(row.entity_type)
        found[part] = replace(found[part], **{row.became: row.items})
    return found


def keep(connection: Connection, sync: Orchestration, numbers: Mapping[Part, Counts]) -> None:
    """Keep the numbers of a sync that is over: later syncs work on the same records."""
    connection.execute(
        text(
            "UPDATE sync.sync_item SET total = :total, processed = :processed, failed = :failed, skipped = :skipped, "
            "pending = :pending WHERE sync_id = :id AND system = :system AND entity_type = :entity"
        ),
        [
            {
                "id": sync.sync_id,
                "system": system,
                "entity": entity,
                "total": one.total,
                "processed": one.processed,
                "failed": one.failed,
                "skipped": one.skipped,
                "pending": one.pending,
            }
            for (system, entity), one in numbers.items()
        ],
    )


def reopen(connection: Connection, sync: Orchestration) -> None:
    """Count the records of a sync again, because it goes on."""
    connection.execute(
        text(
            "UPDATE sync.sync_item SET total = NULL, processed = NULL, failed = NULL, skipped = NULL, pending = NULL "
            "WHERE sync_id = :id"
        ),
        {"id": sync.sync_id},
    )


def conflicts_of(connection: Connection, sync: Orchestration) -> list[Conflict]:
    """Return the conflicts that stood while the sync went on, those that are over by now included."""
    scopes = connection.execute(
        text("SELECT DISTINCT pair_scope_id FROM sync.sync_item WHERE sync_id = :id AND pair_scope_id IS NOT NULL"),
        {"id": sync.sync_id},
    ).scalars()
    return of_scopes(connection, sync.org, list(scopes), since=sync.started_at, until=sync.completed_at)


def stamp_conflicts(connection: Connection, sync: Orchestration, pair: Scope) -> None:
    """Note in conflicts that are new that this sync found them."""
    connection.execute(
        text(
            "UPDATE sync.sync_conflict SET sync_id = :id "
            "WHERE scope_id = :pair AND applied_at IS NULL AND sync_id IS NULL"
        ),
        {"id": sync.sync_id, "pair": pair.id},
    )


def found_conflicts(connection: Connection, sync: Orchestration, pair: Scope) -> set[Kind]:
    """Return the kinds of the open conflicts that this sync found."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT conflict_type FROM sync.sync_conflict "
            "WHERE scope_id = :pair AND sync_id = :id AND applied_at IS NULL AND NOT is_resolved"
        ),
        {"id": sync.sync_id, "pair": pair.id},
    )
    return {Kind(kind) for kind in rows.scalars()}


def next_try(connection: Connection, target: Scope) -> float | None:
    """Return in how many seconds a record of a system may be tried again, ``None`` when none waits for that.

    It waits after a failure, or because a create whose reply was lost may still be running.
    """
    found = connection.execute(
        text(
            "SELECT extract(epoch FROM min(at) - clock_timestamp()) FROM ("
            "SELECT next_retry_at FROM sync.record_state WHERE scope_id = :target AND state = 'retrying' "
            "UNION ALL SELECT quiet_until FROM sync.effect WHERE scope_id = :target AND state = 'in_doubt') AS w(at)"
        ),
        {"target": target.id},
    ).scalar()
    return None if found is None else max(float(found), 0.0)


def targets(connection: Connection, sync: Orchestration) -> list[Scope]:
    """Return the scopes in which the systems are the targets, as far as the sync came to them."""
    rows = connection.execute(
        text(
            "SELECT s.id, s.pair, s.name FROM sync.sync_item i JOIN sync.scope s ON s.id = i.scope_id "
            "WHERE i.sync_id = :id ORDER BY i.position"
        ),
        {"id": sync.sync_id},
    )
    return [Scope(row.id, row.pair, row.name) for row in rows]
