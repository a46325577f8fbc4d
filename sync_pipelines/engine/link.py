"""Changes that call nobody: links made and links forgotten, set by set."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.engine import ledger
from sync_pipelines.engine.attempt import Attempted, Outcome
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.settle import agree
from sync_pipelines.store import base, effects, plans, states
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import fingerprints


def settle_links(run: Run, plan: StoredPlan, changes: Sequence[Change], connection: Connection) -> list[Attempted]:
    """Carry out adopt and forget changes in the current transaction; those whose records moved since are stale.

    Returns what became of each change, in their order.
    """
    started = time.monotonic()
    stale = _moved(connection, run, changes)
    done = [change for change in changes if change.key not in stale]
    _forget(connection, run, [change for change in done if change.action is Action.FORGET])
    _adopt(connection, run, [change for change in done if change.action is Action.ADOPT])
    plans.mark_changes(connection, plan.id, sorted(stale), Outcome.STALE)
    plans.mark_changes(connection, plan.id, [change.key for change in done], Outcome.APPLIED)
    seconds = (time.monotonic() - started) / max(len(changes), 1)
    ledger.succeeded(
        connection,
        run,
        *(Attempt(change.action, change.key, change.right_key, seconds, 0, content=change.after) for change in done),
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


def _forget(connection: Connection, run: Run, changes: Sequence[Change]) -> None:
    base.drop_links(connection, run.scope, [change.key for change in changes])
    states.settle_all(connection, run.scope, [(change.key, change.reason) for change in changes])


def _adopt(connection: Connection, run: Run, changes: Sequence[Change]) -> None:
    whole = [change for change in changes if not change.blocked]
    links = [
        NewLink(
            change.key,
            change.right_key or "",
            change.natural_key,
            change.after or {},
            change.before or {},
            linked_by="adopt",
        )
        for change in whole
    ]
    base.put_links(connection, run.scope, links)
    effects.resolve(connection, run.scope, [change.key for change in whole])
    states.settle_all(connection, run.scope, [(change.key, f"adopt: {change.reason}") for change in whole])
    for change in changes:
        if change.blocked:
            agree(connection, run, change, change.right_key or "", change.before or {}, blocked=change.blocked)
