"""Settle: write down, in one transaction, what an attempt came to."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.errors import PeerError, PeerUnavailable
from sync_pipelines.core.plan import Change
from sync_pipelines.core.records import Content
from sync_pipelines.core.retry import GiveUp, Pause, Retry, after_failure
from sync_pipelines.engine import ledger
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.store import base, effects, states
from sync_pipelines.store.base import NewLink

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


def agree(
    connection: Connection,
    run: Run,
    change: Change,
    right_key: str,
    observed: Content,
    *,
    blocked: Collection[str],
    moved: Collection[str] = (),
) -> None:
    """Make what both sides say now the new base, and the record synced.

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
    base.put_link(connection, run.scope, link)
    effects.resolve(connection, run.scope, [change.key])
    reasons = set(run.pair.blocked(observed, change.after, tuple(blocked)).values()) if blocked else set()
    if moved:
        reasons.add(f"{', '.join(sorted(moved))} changed at the target while it was written")
    reason = "; ".join(sorted(reasons)) or f"{change.action}: {change.reason}"
    states.settle(connection, run.scope, change.key, reason, agreed=not open_fields)


def retired(connection: Connection, run: Run, change: Change, observed: Content) -> None:
    """Keep the link of a retired record, but no agreement: should the source come back, every field is written."""
    assert change.right_key is not None
    link = NewLink(
        change.key, change.right_key, change.natural_key, {}, observed, linked_by="adopt", agreed=False, retired=True
    )
    base.put_link(connection, run.scope, link)
    effects.resolve(connection, run.scope, [change.key])
    states.settle(connection, run.scope, change.key, "retired: gone at the source")


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
    ledger.failed(connection, run, attempt, text)
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
            )
            ledger.dead_lettered(connection, run, change.key, text, attempts=state.failures)
            return f"{text}; dead-lettered: {reason}"
        case Pause():
            return f"{text}; the run stops, nothing is counted against the record"
