"""Syncs, conflicts and milestones as they are told to people: the documents of the guide's answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.conflicts import MOST_RETRIES, Strategy, strategy_for
from sync_pipelines.core.orchestration import Counts, Status, percent_complete, remaining_ms
from sync_pipelines.pipelines.commerce.fields import Owner
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines.store.sync_activity import Entry
from sync_pipelines.store.sync_items import Part

MOST_SHOWN = 200
"""Conflicts in one answer."""

Document = dict[str, Any]


def sync_document(sync: Orchestration, numbers: Mapping[Part, Counts], conflicts: Iterable[Conflict]) -> Document:
    """Tell how far a sync is.

    Arguments:
        numbers: its items by system and entity.
        conflicts: those that stood while it went on.
    """
    total = sum(numbers.values(), Counts())
    is_done = sync.status is Status.DONE
    standing = [one for one in conflicts if is_open(one)]
    return {
        "syncId": sync.sync_id,
        "status": sync.status,
        "requested": sync.requested,
        "isAttended": sync.is_attended,
        "orgId": sync.org,
        "shop": sync.shop,
        "systems": list(sync.systems),
        "entityTypes": list(sync.entities),
        "queues": {
            system: _queue(one for (where, _), one in numbers.items() if where is system) for system in sync.systems
        },
        "entities": {
            entity: {system: _queue([numbers[system, entity]]) for system in sync.systems} for entity in sync.entities
        },
        "conflicts": {
            "count": len(standing),
            "manualReview": [
                {"id": one.id, "type": one.kind, "reason": one.data.get("reason")}
                for one in standing
                if strategy_for(one.kind, MOST_RETRIES, MOST_RETRIES) is Strategy.MANUAL
            ][:MOST_SHOWN],
        },
        "createdAt": _time(sync.created_at),
        "startedAt": _time(sync.started_at),
        "completedAt": _time(sync.completed_at),
        "errorMessage": sync.error,
        "progress": {
            "percentComplete": 100 if is_done else percent_complete(total.processed, total.total),
            "estimatedTimeRemainingMs": remaining_ms(total, sync.worked_seconds),
        },
    }


def conflict_document(conflict: Conflict) -> Document:
    """Tell of a conflict."""
    return {
        "id": conflict.id,
        "itemId": conflict.item,
        "entityType": conflict.entity,
        "type": conflict.kind,
        "data": dict(conflict.data),
        "isResolved": conflict.is_resolved,
        "resolution": conflict.resolution,
        "resolvedData": conflict.resolved_data,
        "resolvedBy": conflict.resolved_by,
        "createdAt": _time(conflict.created_at),
        # Values are contested only where nobody owns the field alone: see the tables of fields.
        "owner": dict.fromkeys(conflict.fields, Owner.BOTH.value),
        "organization": conflict.org,
        "canBeSettled": conflict.can_be_settled,
        "history": [dict(one) for one in conflict.history],
    }


def activity_documents(entries: Sequence[Entry]) -> list[Document]:
    """Tell of milestones."""
    return [{"action": one.action, "details": dict(one.details), "createdAt": _time(one.created_at)} for one in entries]


def is_open(conflict: Conflict) -> bool:
    """Say whether somebody has to settle a conflict."""
    return conflict.applied_at is None and not conflict.is_resolved


def _queue(counts: Iterable[Counts]) -> dict[str, int]:
    one = sum(counts, Counts())
    return {
        "total": one.total,
        "processed": one.processed,
        "failed": one.failed,
        "skipped": one.skipped,
        "pending": one.pending,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
