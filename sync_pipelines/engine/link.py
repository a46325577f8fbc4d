"""Changes that call nobody: links made and links forgotten, set by set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.engine import ledger
from sync_pipelines.engine.attempt import Attempted
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.journal import Journal
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.settle import agreement, named, settle
from sync_pipelines.engine.steps import Outcome
from sync_pipelines.store import base, effects, plans, states
from sync_pipelines.store.effects import Interrupted
from sync_pipelines.store.observations import put_records
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import fingerprints
from sync_pipelines.store.statements import execute
from sync_pipelines.store.states import Settled
from sync_pipelines.store.storable import storable


async def look_before_forgetting(run: Run, journal: Journal, plan: StoredPlan, changes: Sequence[Change]) -> None:
    """Ask the target once more for the records whose links are to be forgotten, and keep those that are there.

    A listing that left some out, and counted as if they were not there, would cost the link: the next true listing
    would then show an orphan. A link to what is seen again is not forgotten by :func:`settle_links`. One that no
    listing shows because it lost its natural key is: somebody detached it.
    """
    there = []
    for change in changes:
        if change.action is Action.FORGET and change.right_key is not None:
            record = await run.pair.right.read(change.right_key)
            if record is not None and record.natural_key == change.natural_key:
                there.append(storable(record))
    if there:
        snapshot = plan.right_snapshot
        await journal.write(lambda connection: put_records(connection, run.scope, "right", there, snapshot))


def settle_links(run: Run, plan: StoredPlan, changes: Sequence[Change], connection: Connection) -> list[Attempted]:
    """Carry out adopt and forget changes in the current transaction; those whose records moved since are stale.

    Returns what became of each change, in their order.
    """
    started = time.monotonic()
    stale = _moved(connection, run, changes)
    done = [change for change in changes if change.key not in stale]
    forgotten = _forget(connection, run, [change for change in done if change.action is Action.FORGET])
    adopted = _adopt(connection, run, [change for change in done if change.action is Action.ADOPT])
    plans.mark_changes(connection, plan.id, sorted(stale), Outcome.STALE)
    plans.mark_changes(connection, plan.id, [change.key for change in done], Outcome.APPLIED)
    seconds = (time.monotonic() - started) / max(len(changes), 1)
    attempts = [
        Attempt(change.action, change.key, change.right_key, seconds, 0, content=change.after) for change in done
    ]
    ledger.succeeded(
        connection, run, *_retired(forgotten, attempts), *(named(attempt, adopted) for attempt in attempts)
    )
    return [
        Attempted(Outcome.STALE, "the record moved since the plan was made")
        if change.key in stale
        else Attempted(Outcome.APPLIED, change.reason)
        for change in changes
    ]


def _moved(connection: Connection, run: Run, changes: Sequence[Change]) -> set[str]:
    right_keys = [change.right_key for change in changes if change.right_key is not None]
    left = fingerprints(connection, run.scope, "left", [change.key for change in changes])
    right = fingerprints(connection, run.scope, "right", right_keys)
    holders = base.holders(connection, run.scope, right_keys)
    return {
        change.key
        for change in changes
        if left.get(change.key) != _expected(change, change.after)
        or right.get(change.right_key or "") != _expected(change, change.before)
        or holders.get(change.right_key or "", change.key) != change.key
    }


def _expected(change: Change, content: Content | None) -> bytes | None:
    return None if change.action is Action.FORGET else fingerprint(content or {})


def _retired(interrupted: Sequence[Interrupted], attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the retirements of killed runs that are found to be done: the target has no such record any more."""
    by_key = {attempt.key: attempt for attempt in attempts}
    return [
        replace(by_key[one.key], action=one.action, interrupted_run=one.run_id)
        for one in interrupted
        if one.action == Action.RETIRE
    ]


def _forget(connection: Connection, run: Run, changes: Sequence[Change]) -> list[Interrupted]:
    keys = [change.key for change in changes]
    base.drop_links(connection, run.scope, keys)
    forgotten = [Settled(change.key, change.reason) for change in changes]
    execute(connection, states.settling(connection, run.scope, forgotten))
    return effects.resolve(connection, run.scope, keys) if keys else []


def _adopt(connection: Connection, run: Run, changes: Sequence[Change]) -> list[Interrupted]:
    agreements = [
        agreement(run.pair, change, change.right_key or "", change.before or {}, blocked=change.blocked)
        for change in changes
    ]
    return settle(connection, run.scope, agreements)
