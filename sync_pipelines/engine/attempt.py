"""One attempt at one change: look, intend, call, observe, settle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.trees import same
from sync_pipelines.engine import ledger, settle
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.journal import Journal
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.store import base, effects, plans, states
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import drop_record, fingerprints, put_record, storable, storable_text


class Outcome(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    STALE = "stale"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempted:
    """Outcome, a line for people, and the error behind it."""

    outcome: Outcome
    message: str
    error: PeerError | None = None


class _Stale(Exception):
    """The record moved since the plan was made. Carries the message for people."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step of one attempt needs."""

    run: Run
    journal: Journal
    plan: StoredPlan
    change: Change
    failures: int
    started: float

    def audit(self, right_key: str | None, action: str | None = None) -> Attempt:
        return Attempt(
            action or self.change.action,
            self.change.key,
            right_key,
            time.monotonic() - self.started,
            self.failures,
            content=self.change.after,
            fields=self.change.fields,
        )


def stops_the_run(error: PeerError) -> bool:
    """Say whether going on is pointless: credentials are refused (and may get locked), or the breaker is open."""
    return error.kind is FailureKind.AUTH or isinstance(error, PeerUnavailable)


async def attempt(run: Run, journal: Journal, plan: StoredPlan, change: Change) -> Attempted:
    """Carry out one change that calls the peer. Failures of the peer are recorded, not raised.

    Raises:
        LeaseLost: another run took over; nothing more may be written.
    """
    started = time.monotonic()
    state, in_doubt = await journal.write(
        lambda connection: (
            states.find_state(connection, run.scope, change.key),
            effects.in_doubt(connection, run.scope, change.key),
        )
    )
    failures = state.failures if state else 0
    work = _Work(run, journal, plan, change, failures, started)
    effect_id: int | None = None
    try:
        if state is not None and state.state is State.DEAD_LETTERED:
            raise _Stale("dead-lettered since the plan was made; reprocess it first")
        if in_doubt and change.action is Action.CREATE:
            raise _Stale("an earlier create may still be running at the target; it is looked at again before another")
        current = await _look(work)
        effect_id = await journal.write(
            lambda connection: effects.intend(
                connection, run.scope, change, plan_id=plan.id, attempt=failures + 1, run_id=run.run_id
            )
        )
        message = await (_retire if change.action is Action.RETIRE else _converge)(work, current, effect_id)
    except _Stale as stale:
        await journal.write(lambda connection: plans.mark_change(connection, plan.id, change.key, Outcome.STALE))
        return Attempted(Outcome.STALE, str(stale))
    except PeerError as error:
        return await _failed(work, error, effect_id)
    return Attempted(Outcome.APPLIED, message)


async def _look(work: _Work) -> Record | None:
    """Return the target record as it is now, ``None`` when it has to be created.

    Raises:
        _Stale: source or target moved since the plan was made.
    """
    change = work.change
    lefts = await work.journal.write(lambda connection: fingerprints(connection, work.run.scope, "left", [change.key]))
    if lefts.get(change.key) != (None if change.action is Action.RETIRE else fingerprint(change.after or {})):
        raise _Stale("the source moved since the plan was made; the next run plans it anew")
    if change.action is Action.CREATE:
        return await _look_for_double(work)
    assert change.right_key is not None
    current = await _read(work, change.right_key)
    await _observe(work, change.right_key, current)
    if current is None:
        raise _Stale("the target lost the record since the plan was made; the next run plans it anew")
    await _must_be_ours(work, current)
    if fingerprint(current.content) != fingerprint(change.before or {}) and not _satisfied(work, current):
        raise _Stale("somebody changed the target since the plan was made; the next run plans it anew")
    return current


async def _look_for_double(work: _Work) -> Record | None:
    change = work.change
    if change.right_key is not None and (linked := await _read(work, change.right_key)) is not None:
        # Not lost: only what identifies it was edited. Writing the fields may bring it back into the listing.
        await _must_be_ours(work, linked)
        return linked
    found = await _find(work)
    if len(found) > 1:
        raise _Stale(f"{len(found)} records at the target claim {change.natural_key}; none of them is touched")
    if not found:
        return None
    await _must_be_ours(work, found[0])
    return found[0]


async def _must_be_ours(work: _Work, record: Record) -> None:
    """Refuse a target record that belongs to somebody else, cannot be read, or is linked with another record.

    Raises:
        _Stale: with the reason; comparing again shows it as a finding.
    """
    if strange := record.withheld or record.invalid:
        raise _Stale(f"{record.key} is not touched: {strange}")
    scope = work.run.scope
    holders = await work.journal.write(lambda connection: base.holders(connection, scope, [record.key]))
    holder = holders.get(record.key, work.change.key)
    if holder != work.change.key:
        raise _Stale(f"{record.key} claims {work.change.natural_key} but is linked with {holder}; it is not touched")


async def _read(work: _Work, right_key: str) -> Record | None:
    record = await work.run.pair.right.read(right_key)
    return None if record is None else storable(record)


async def _find(work: _Work) -> list[Record]:
    return [storable(record) for record in await work.run.pair.right.find(work.change.natural_key)]


async def _observe(work: _Work, right_key: str, record: Record | None) -> None:
    """Keep the newest observation, so that the next plan is made from it."""
    scope, snapshot_id = work.run.scope, work.plan.right_snapshot

    def step(connection: Connection) -> None:
        if record is None:
            drop_record(connection, scope, "right", right_key)
        else:
            put_record(connection, scope, "right", record, snapshot_id)

    await work.journal.write(step)


def _satisfied(work: _Work, current: Record) -> bool:
    after, alike = work.change.after, work.run.pair.alike
    return after is not None and all(alike(name, after[name], current.content.get(name)) for name in work.change.fields)


async def _converge(work: _Work, current: Record | None, effect_id: int) -> str:
    """Create the record if need be, write the fields that differ, and settle what the target then shows."""
    change = work.change
    assert change.after is not None
    if current is None:
        current = await _create(work, effect_id)
    alike = work.run.pair.alike
    differing = [name for name in change.fields if not alike(name, change.after[name], current.content.get(name))]
    blocked = set(change.blocked) | set(work.run.pair.blocked(current.content, change.after, tuple(differing)))
    fields = [name for name in differing if name not in blocked]
    observed = await _write(work, current, change.after, fields) if fields else current
    if change.action is Action.CREATE and observed.key == change.right_key:
        _must_be_known_as(work, observed)
    moved = _moved(work, observed, fields) - blocked
    await work.journal.write(lambda connection: _settle(connection, work, effect_id, observed, blocked, moved))
    waiting = f"; held back: {', '.join(sorted(blocked))}" if blocked else ""
    meanwhile = f"; changed at the target meanwhile: {', '.join(sorted(moved))}" if moved else ""
    return f"{change.reason}{waiting}{meanwhile}"


def _must_be_known_as(work: _Work, observed: Record) -> None:
    """Give up on a linked record that lost its natural key: no listing shows it, so every run would find it lost."""
    if observed.natural_key != work.change.natural_key:
        raise PeerError(
            work.run.pair.peers[1],
            FailureKind.PERMANENT,
            f"{observed.key} is linked, but what identifies it was edited to {observed.natural_key!r}; restore "
            f"{work.change.natural_key!r} at the target, then reprocess the record",
            key=work.change.key,
        )


def _moved(work: _Work, observed: Record, written: Sequence[str]) -> set[str]:
    """Return the fields that somebody changed at the target while this attempt went on.

    They must not become part of the agreement: the next comparison would take the edit for agreed.
    """
    change, alike = work.change, work.run.pair.alike
    assert change.after is not None
    before = {name: value for name, value in (change.before or {}).items() if name not in change.fields}
    return {
        name
        for name, wanted in change.after.items()
        if name not in written
        and not alike(name, wanted, observed.content.get(name))
        and not (name in before and same(before[name], observed.content.get(name)))
    }


def _settle(
    connection: Connection, work: _Work, effect_id: int, observed: Record, blocked: set[str], moved: set[str]
) -> None:
    run, change = work.run, work.change
    put_record(connection, run.scope, "right", observed, work.plan.right_snapshot)
    effects.settle(connection, effect_id, observed.key)
    settle.agree(connection, run, change, observed.key, observed.content, blocked=blocked, moved=moved)
    plans.mark_change(connection, work.plan.id, change.key, Outcome.APPLIED)
    ledger.succeeded(connection, run, work.audit(observed.key))


async def _create(work: _Work, effect_id: int) -> Record:
    change, target = work.change, work.run.pair.right
    assert change.after is not None
    try:
        right_key = await target.create(change.natural_key, change.after)
    except PeerError as error:
        if error.kind is not FailureKind.AMBIGUOUS:
            raise
        right_key = await _find_lost_create(work, effect_id, error)

    def link(connection: Connection) -> None:
        effects.name_target(connection, effect_id, right_key)
        created = NewLink(change.key, right_key, change.natural_key, {}, {}, linked_by="create", agreed=False)
        base.put_link(connection, work.run.scope, created)

    await work.journal.write(link)
    created = await _read(work, right_key)
    if created is None:
        raise PeerError(
            work.run.pair.peers[1], FailureKind.TRANSIENT, f"{right_key} was created but cannot be read", key=change.key
        )
    return created


async def _find_lost_create(work: _Work, effect_id: int, error: PeerError) -> str:
    """Return what a create made whose reply was lost.

    Raises:
        PeerError: (transient) it is not to be seen; it may still be running, so the retry waits for it to be over.
    """
    run, change = work.run, work.change
    quiet = run.pair.quiet_seconds
    error.message = storable_text(error.message)
    await work.journal.write(lambda connection: effects.doubt(connection, effect_id, str(error), quiet))
    found = await _find(work)
    if len(found) == 1:
        await _must_be_ours(work, found[0])
        run.log.info("%s: %s was created although its reply was lost (%s)", run.pair.full_name, change.key, error)
        return found[0].key
    raise PeerError(
        error.peer,
        FailureKind.AMBIGUOUS,
        f"{error.message}; the target shows {len(found) or 'nothing'} of it and is looked at again before the next try",
        status=error.status,
        retry_after=max(quiet, error.retry_after or 0),
        key=change.key,
        operation=error.operation,
    )


async def _write(work: _Work, current: Record, after: Content, fields: Sequence[str]) -> Record:
    """Write fields and return what the target shows afterwards; only that counts, not the replies."""
    target = work.run.pair.right
    failure: PeerError | None = None
    try:
        await target.write(current, after, fields)
    except PeerError as error:
        if stops_the_run(error):
            raise
        failure = error
    observed = await _read(work, current.key)
    if observed is None:
        raise failure or PeerError(
            work.run.pair.peers[1], FailureKind.GONE, f"{current.key} is gone since it was written", key=work.change.key
        )
    await _observe(work, current.key, observed)
    lenient = work.run.pair.lenient_fields if failure is None else frozenset()
    alike = work.run.pair.alike
    unmet = [f for f in fields if f not in lenient and not alike(f, after[f], observed.content.get(f))]
    if not unmet:
        return observed
    raise failure or PeerError(
        work.run.pair.peers[1],
        FailureKind.TRANSIENT,
        f"accepted the write but shows other values for {', '.join(unmet)}; somebody else may be writing too",
        key=work.change.key,
    )


async def _retire(work: _Work, current: Record | None, effect_id: int) -> str:
    change, target = work.change, work.run.pair.right
    assert current is not None
    await target.retire(current)
    observed = await _read(work, current.key) or current

    def step(connection: Connection) -> None:
        put_record(connection, work.run.scope, "right", observed, work.plan.right_snapshot)
        effects.settle(connection, effect_id, current.key)
        settle.retired(connection, work.run, change, observed.content)
        plans.mark_change(connection, work.plan.id, change.key, Outcome.APPLIED)
        ledger.succeeded(connection, work.run, work.audit(current.key))

    await work.journal.write(step)
    return change.reason


async def _failed(work: _Work, error: PeerError, effect_id: int | None) -> Attempted:
    run, change = work.run, work.change
    error.key = error.key or change.key
    error.message = storable_text(error.message)

    def step(connection: Connection) -> str:
        if effect_id is not None:
            effects.fail(connection, effect_id, str(error))
        plans.mark_change(connection, work.plan.id, change.key, Outcome.FAILED)
        return settle.failed(connection, run, change, error, work.audit(change.right_key), plan_hash=work.plan.hash)

    return Attempted(Outcome.FAILED, await work.journal.write(step), error)
