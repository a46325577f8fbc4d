"""Settle: write down, in one transaction, what an attempt came to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.cleaning import may_be_cleaned
from sync_pipelines.core.errors import PeerError, PeerUnavailable
from sync_pipelines.core.plan import Change
from sync_pipelines.core.records import Content
from sync_pipelines.core.retry import GiveUp, Pause, Retry, after_failure
from sync_pipelines.core.trees import same
from sync_pipelines.engine import ledger
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.ports import Pair
from sync_pipelines.store import base, effects, states
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.effects import Interrupted
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, execute
from sync_pipelines.store.states import Settled

_LINKED_BY = {"create": "create", "update": "adopt", "adopt": "adopt"}


def recover(connection: Connection, run: Run) -> None:
    """Take over what a killed run of this scope left unsettled, before anything is planned or written."""
    for effect in effects.recover(connection, run.scope, run.pair.quiet_seconds):
        run.log.warning(
            "%s: %s of %s by run %s was not settled when that run ended; the target decides what became of it",
            run.pair.full_name,
            effect.action,
            effect.key,
            effect.run_id,
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to: the link as it is now, and where the record stands.

    Attributes:
        key: key of the record.
        link: ``None`` for a record that is not linked.
        reason: why the record is where it is.
        agreed: whether nothing is left over.
    """

    key: str
    link: NewLink | None
    reason: str
    agreed: bool = True


def agreement(
    pair: Pair,
    change: Change,
    right_key: str,
    observed: Content,
    *,
    blocked: Collection[str],
    moved: Collection[str] = (),
) -> Settlement:
    """What both sides say now is the new base, and the record is synced.

    Arguments:
        observed: what the target says, read back after the write.
        blocked: fields that still differ because only a person can bring them through: they stay out of the base,
            so that every comparison takes the record up again.
        moved: fields that somebody changed at the target meanwhile: they stay out of the base as well.
    """
    assert change.after is not None
    open_fields = {*blocked, *moved}
    link = NewLink(
        left_key=change.key,
        right_key=right_key,
        natural_key=change.natural_key,
        left={name: value for name, value in change.after.items() if name not in open_fields},
        right={name: value for name, value in observed.items() if name not in open_fields},
        linked_by=_LINKED_BY[change.action],
        agreed=not open_fields,
    )
    reasons = set(pair.blocked(observed, change.after, tuple(blocked)).values()) if blocked else set()
    if moved:
        reasons.add(f"{', '.join(sorted(moved))} changed at the target while it was written")
    reason = "; ".join(sorted(reasons)) or f"{change.action}: {change.reason}"
    return Settlement(change.key, link, reason, agreed=not open_fields)


def not_arrived(pair: Pair, fields: Collection[str], before: Content, after: Content, shown: Content) -> set[str]:
    """Return the fields of which a target does not show that they were written, when nobody heard what came of it.

    A field that the target cleans has arrived when it moved to what may be a cleaned form of what was sent. Without
    that, the target's own form of our write would be taken for the word of somebody who edited it there.

    Arguments:
        before: what the target showed before.
        after: what was sent.
    """
    return {
        name
        for name in fields
        if not pair.alike(name, after[name], shown.get(name))
        and (
            name not in pair.lenient_fields
            or same(before.get(name), shown.get(name))
            or not may_be_cleaned(after[name], shown.get(name))
        )
    }


def moved_meanwhile(pair: Pair, change: Change, observed: Content, written: Collection[str]) -> set[str]:
    """Return the fields that somebody changed at the target between the plan and now, those written left out.

    They must not become part of the agreement: the next comparison would take the edit for agreed.
    """
    assert change.after is not None
    before = {name: value for name, value in (change.before or {}).items() if name not in change.fields}
    return {
        name
        for name, wanted in change.after.items()
        if name not in written
        and not pair.alike(name, wanted, observed.get(name))
        and not (name in before and same(before[name], observed.get(name)))
    }


def retirement(change: Change, observed: Content, *, linked: bool) -> Settlement:
    """A retired record keeps its link, but no agreement: should the source come back, every field is written.

    Arguments:
        linked: whether there is a link. One that was never linked gets none: its source will have a key of its own.
    """
    reason = f"retired: {change.reason}"
    if not linked:
        return Settlement(change.key, None, reason)
    assert change.right_key is not None
    link = NewLink(
        change.key, change.right_key, change.natural_key, {}, observed, linked_by="adopt", agreed=False, retired=True
    )
    return Settlement(change.key, link, reason)


def surely_retired(pair: Pair, change: Change, shown: Content) -> bool:
    """Say whether a retirement took place of which nobody knows what became of it.

    What a retired record looks like only the target knows, and retiring it again does no harm; but where records are
    retired in several steps, nobody does the one again that is done.
    """
    moved = not same(dict(change.before or {}), dict(shown))
    return pair.minds_untracked and moved and pair.retired(shown) and pair.untracked(shown) is None


def settle(connection: Connection, scope: Scope, settlements: Sequence[Settlement]) -> list[Interrupted]:
    """Write down what attempts came to, and close whatever was open about their records. Returns what was open."""
    if not settlements:
        return []
    interrupted = effects.resolve(connection, scope, [settlement.key for settlement in settlements])
    execute(connection, *settling(connection, scope, settlements))
    return interrupted


def settling(connection: Connection, scope: Scope, settlements: Sequence[Settlement]) -> list[Part]:
    """Write down what attempts came to, at least one, together with other statements."""
    settled = [Settled(one.key, one.reason, one.agreed) for one in settlements]
    links = [one.link for one in settlements if one.link is not None]
    return [*([base.linking(scope, links)] if links else []), states.settling(connection, scope, settled)]


def named(attempt: Attempt, interrupted: Sequence[Interrupted]) -> Attempt:
    """Return an attempt as what it was together with the killed ones that it finished.

    Whoever writes the rest of a record that a killed run made has created it, and an update has written what the
    killed one wrote too.
    """
    mine = [one for one in interrupted if one.key == attempt.key]
    if not mine:
        return attempt
    created = attempt.action in ("update", "adopt") and any(one.action == "create" for one in mine)
    fields = {*attempt.fields, *(name for one in mine if one.action != "retire" for name in one.fields)}
    return replace(
        attempt,
        action="create" if created else attempt.action,
        fields=tuple(sorted(fields)),
        interrupted_run=attempt.interrupted_run or mine[-1].run_id,
    )


def failed(
    connection: Connection, run: Run, change: Change, error: PeerError, attempt: Attempt, *, plan_hash: str
) -> str:
    """Record a failed attempt and decide what follows. Returns that, for the log."""
    text = str(error)
    if isinstance(error, PeerUnavailable):
        decision: Retry | GiveUp | Pause = Pause()
    else:
        decision = after_failure(error.kind, attempt.retry_count + 1, run.pair.retry, retry_after=error.retry_after)
    seconds = decision.delay.total_seconds() if isinstance(decision, Retry) else None
    counted = not isinstance(decision, Pause)
    state = states.fail(connection, run.scope, change.key, text, counted=counted, retry_seconds=seconds)
    ledger.failed(connection, run, attempt, text, kind=error.kind)
    match decision:
        case Retry():
            return (
                f"{text}; retry {state.failures} of {run.pair.retry.max_retries} at {state.next_retry_at:%H:%M:%S} UTC"
            )
        case GiveUp(reason):
            states.bury(
                connection,
                run.scope,
                change.key,
                action=change.action,
                payload_hash=fingerprint(change.after or {}).hex(),
                plan_hash=plan_hash,
                kind=error.kind,
                cause=error.cause,
            )
            ledger.dead_lettered(connection, run, change.key, text, attempts=state.failures)
            return f"{text}; dead-lettered: {reason}"
        case Pause():
            return f"{text}; the run stops, nothing is counted against the record"
