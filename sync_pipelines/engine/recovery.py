"""Recovery: what a killed run left unsettled is settled by what the target shows, and audited as what it was.

Every write was written down as an intent before it was sent. Of an intent that nobody settled, the newest snapshot of
the target tells one of three things:

- all of it is there: it is settled now, as the killed run would have done;
- part of it is there, or nothing: the comparison plans the rest, and the attempt that finishes it is audited as the
  interrupted action, so that a create stays a create;
- the rest is not wanted any more (the source moved on): it is closed, and audited when it left a trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same
from sync_pipelines.engine import ledger
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.settle import (
    Settlement,
    agreement,
    moved_meanwhile,
    named,
    not_arrived,
    retirement,
    settle,
    surely_retired,
)
from sync_pipelines.engine.steps import Outcome
from sync_pipelines.store import base, effects, plans, states
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.effects import Unsettled
from sync_pipelines.store.snapshots import Snapshot, fingerprints

_FINISHED_BY: Mapping[Action, frozenset[Action]] = {
    Action.CREATE: frozenset({Action.CREATE, Action.UPDATE, Action.ADOPT}),
    Action.UPDATE: frozenset({Action.UPDATE}),
    Action.RETIRE: frozenset({Action.RETIRE, Action.FORGET}),
}
"""Interrupted action -> planned actions that complete it."""
_TRACE = "the run was killed in the middle of this; the target does not show all of it, and it is not wanted any more"


def settle_found(connection: Connection, run: Run, right: Snapshot, keys: Sequence[str] | None) -> list[Unsettled]:
    """Settle the interrupted writes that the target shows in full, and link what interrupted creates made.

    Call after the sides were read and before they are compared.

    Arguments:
        right: the newest snapshot of the target.
        keys: natural keys that were looked at, ``None`` for all.

    Returns:
        The interrupted writes that are not to be seen, or only in part.
    """
    if not right.complete:
        return []
    rest: list[Unsettled] = []
    unsettled = effects.unsettled(connection, run.scope, right.id, keys)
    claims = Counter(effect.shown_key for effect in unsettled)
    for effect in unsettled:
        if claims[effect.shown_key] > 1:
            # Creates with one natural key, and one record: whose it is the comparison decides.
            rest.append(replace(effect, shown_key=None, shown=None))
            continue
        if effect.shown_key is not None and effect.change.action is Action.CREATE:
            effects.name_targets(connection, [(effect.id, effect.shown_key)])
            base.put_links(connection, run.scope, [_made(effect.change, effect.shown_key)])
        settlement = _settlement(connection, run, effect)
        if settlement is None:
            rest.append(effect)
            continue
        _settle(connection, run, effect, settlement)
    return rest


def close_rest(connection: Connection, run: Run, rest: Sequence[Unsettled], plan_ids: Sequence[int]) -> None:
    """Close the interrupted writes that nobody is going to finish.

    Call when the plans stand. One that may still be running at the peer stays open.

    Arguments:
        rest: as from :func:`settle_found`.
        plan_ids: the plan that goes on, and the one that waits for a person.
    """
    for effect in rest:
        planned = (plans.find_change(connection, plan_id, effect.change.key) for plan_id in plan_ids)
        if any(change is not None and change.action in _FINISHED_BY[effect.change.action] for change in planned):
            continue
        state = states.find_state(connection, run.scope, effect.change.key)
        if not effect.quiet_over or (state is not None and state.state is State.RETRYING):
            continue
        interrupted = effects.resolve(connection, run.scope, [effect.change.key])
        attempt = named(_attempt(effect), interrupted)
        made = effect.change.action is Action.CREATE and effect.shown_key is not None
        if made or (effect.change.action is Action.RETIRE and _is_gone(connection, run, effect.change)):
            ledger.succeeded(connection, run, attempt)
        elif effect.shown is not None and not _untouched(effect.change.before or {}, effect.shown):
            ledger.failed(connection, run, attempt, _TRACE)


def _settle(connection: Connection, run: Run, effect: Unsettled, settlement: Settlement) -> None:
    assert effect.shown_key is not None
    effects.settle_all(connection, [(effect.id, effect.shown_key)])
    interrupted = settle(connection, run.scope, [settlement])
    plans.mark_changes(connection, effect.plan_id, [effect.planned_key], Outcome.APPLIED)
    ledger.succeeded(connection, run, named(replace(_attempt(effect), interrupted_run=effect.run_id), interrupted))
    run.log.info(
        "%s: the %s of %s that run %s began is done",
        run.pair.full_name,
        effect.change.action,
        effect.change.key,
        effect.run_id,
    )


def _settlement(connection: Connection, run: Run, effect: Unsettled) -> Settlement | None:
    """Return what the interrupted write came to, ``None`` when the target does not show all of it."""
    pair, change, shown = run.pair, effect.change, effect.shown
    if effect.shown_key is None or shown is None:
        return None
    if change.action is Action.RETIRE:
        linked = base.find_link(connection, run.scope, change.key) is not None
        return retirement(change, shown, linked=linked) if surely_retired(pair, change, shown) else None
    if change.action not in (Action.CREATE, Action.UPDATE):
        return None
    assert change.after is not None
    after = change.after
    unmet = not_arrived(pair, change.fields, change.before or {}, after, shown)
    blocked = set(change.blocked)
    if change.action is Action.CREATE:
        blocked |= set(pair.blocked(shown, after, tuple(sorted(unmet))))
    if unmet - blocked:
        return None
    moved = moved_meanwhile(pair, change, shown, change.fields) - blocked
    return agreement(pair, change, effect.shown_key, shown, blocked=blocked, moved=moved)


def _is_gone(connection: Connection, run: Run, change: Change) -> bool:
    """Say whether the newest snapshot of the target lacks the record that was to be retired."""
    return change.right_key is not None and not fingerprints(connection, run.scope, "right", [change.right_key])


def _made(change: Change, right_key: str) -> NewLink:
    return NewLink(change.key, right_key, change.natural_key, {}, {}, linked_by="create", agreed=False)


def _attempt(effect: Unsettled) -> Attempt:
    change = effect.change
    return Attempt(
        change.action, change.key, effect.shown_key, 0.0, effect.attempt - 1, content=change.after, fields=change.fields
    )


def _untouched(before: Content, shown: Content) -> bool:
    return same(dict(before), dict(shown))
