"""The steps of a sync with all that belongs to them: its status, the numbers that are kept, and the activity log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.orchestration import OVER, Activity, Counts, Status, Step
from sync_pipelines.store import orchestrations, states, sync_activity, sync_items
from sync_pipelines.store.orchestrations import Orchestration

_LOGGED = {
    Step.PAUSE: Activity.SYNC_PAUSED,
    Step.RESUME: Activity.SYNC_RESUMED,
    Step.CANCEL: Activity.SYNC_CANCELLED,
    Step.FINISH: Activity.SYNC_COMPLETED,
    Step.LEAVE_OVER: Activity.SYNC_COMPLETED,
    Step.FAIL: Activity.SYNC_ERROR,
}


def pause_or_cancel(connection: Connection, sync: Orchestration, step: Step, by: str) -> Orchestration:
    """Pause or cancel a sync that is locked: at once, or once its worker has finished what it has in hand.

    Raises:
        IllegalStep: it cannot take that step.
    """
    if sync.status is Status.PROCESSING and sync.is_attended:
        return orchestrations.ask(connection, sync, step, by)
    return end(connection, sync, step, by=by)


def resume(connection: Connection, sync: Orchestration, by: str) -> Orchestration:
    """Queue a sync that is locked once more, or a draft. Whatever was given up in it gets another chance.

    Raises:
        IllegalStep: it is neither a draft, nor paused, nor over with something left.
    """
    if sync.status is Status.DRAFT:
        # Nothing of it was begun: its start is noted by the worker that takes it up, as that of any other.
        return orchestrations.move(connection, sync, Step.START)
    resumed = orchestrations.move(connection, sync, Step.RESUME)
    if sync.status in OVER:
        sync_items.reopen(connection, sync)
        for target in sync_items.targets(connection, sync):
            states.reprocess(connection, target, None, by)
    sync_activity.note(connection, sync, Activity.SYNC_RESUMED, by=by, was=sync.status)
    return resumed


def conclude(connection: Connection, sync: Orchestration, *, error: str | None, carried_out: bool) -> Orchestration:
    """Let a sync that is locked come to its end: done, or partial when something is left over, or failed.

    Arguments:
        error: what went wrong, ``None`` when nothing did.
        carried_out: whether anything was carried out in spite of it.
    """
    counts = sum(sync_items.counts(connection, sync, over=True).values(), Counts())
    step = counts.ends_with
    if error is not None:
        step = Step.LEAVE_OVER if carried_out else Step.FAIL
    return end(connection, sync, step, error=error)


def end(
    connection: Connection, sync: Orchestration, step: Step, *, error: str | None = None, **details: Any
) -> Orchestration:
    """Let a sync that is locked take a step after which nobody works on it.

    Raises:
        IllegalStep: it cannot take that step.
    """
    moved = orchestrations.move(connection, sync, step, error)
    over = step in (Step.FINISH, Step.LEAVE_OVER)
    numbers = sync_items.counts(connection, sync, over=over)
    if moved.status in OVER:
        sync_items.keep(connection, sync, numbers)
    total = sum(numbers.values(), Counts())
    facts = {
        "status": moved.status,
        "processed": total.processed,
        "failed": total.failed,
        "skipped": total.skipped,
        "pending": total.pending,
        "seconds": round(moved.worked_seconds, 3),
        "error": error,
    }
    facts |= details
    sync_activity.note(connection, sync, _LOGGED[step], **{name: one for name, one in facts.items() if one is not None})
    return moved
