"""One attempt at one change: look, intend, call, observe, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.fencing import check_fence
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content, Record
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.settle import (
    Settlement,
    agreement,
    moved_meanwhile,
    not_arrived,
    retirement,
    surely_retired,
)
from sync_pipelines.engine.steps import Done, Intent, Outcome, Seen, Steps
from sync_pipelines.store.attempts import Standing
from sync_pipelines.store.storable import storable, storable_text


@dataclass(frozen=True, slots=True)
class Attempted:
    """Outcome, a line for people, and the error behind it."""

    outcome: Outcome
    message: str
    error: PeerError | None = None


class _Stale(Exception):
    """The record moved since the plan was made. Carries the message for people."""


@dataclass(slots=True)
class _Work:
    """What every step of one attempt needs.

    Attributes:
        standing: where the record stood before.
        effect_id: of the intent, once it is written down.
        seen: what the target showed last and is not written down yet.
    """

    run: Run
    steps: Steps
    change: Change
    standing: Standing
    effect_id: int | None = None
    seen: Seen | None = None
    started: float = field(default_factory=time.monotonic)

    def audit(self, right_key: str | None) -> Attempt:
        return Attempt(
            self.change.action,
            self.change.key,
            right_key,
            time.monotonic() - self.started,
            self.standing.failures,
            content=self.change.after,
            fields=self.change.fields,
        )


def stops_the_run(error: PeerError) -> bool:
    """Say whether going on is pointless: credentials are refused (and may get locked), or the breaker is open."""
    return error.kind is FailureKind.AUTH or isinstance(error, PeerUnavailable)


async def attempt(run: Run, steps: Steps, change: Change, standing: Standing) -> Attempted | None:
    """Carry out one change that calls the peer. Failures of the peer are recorded, not raised.

    Returns ``None`` when the run was asked to stop before anything was intended.

    Arguments:
        standing: where the record stands, read under the lease of this run.

    Raises:
        LeaseLost: another run took over; nothing more may be written.
        DatabaseUnavailable: the database went away and did not come back.
    """
    work = _Work(run, steps, change, standing)
    try:
        _refuse_moved(change, standing)
        current = await _look(work)
        if run.stop.asked:
            return None
        await _intend(work, current)
        message = await (_retire if change.action is Action.RETIRE else _converge)(work, current)
    except _Stale as stale:
        await steps.stale(change, work.seen)
        return Attempted(Outcome.STALE, str(stale))
    except PeerError as error:
        return await _failed(work, error)
    return Attempted(Outcome.APPLIED, message)


def _refuse_moved(change: Change, standing: Standing) -> None:
    """Refuse a change that what we know already speaks against.

    Raises:
        _Stale: with the reason.
    """
    if standing.state is State.DEAD_LETTERED:
        raise _Stale("dead-lettered since the plan was made; reprocess it first")
    if standing.in_doubt and change.action is Action.CREATE:
        raise _Stale("an earlier create may still be running at the target; it is looked at again before another")
    if standing.left != (None if change.action is Action.RETIRE else fingerprint(change.after or {})):
        raise _Stale("the source moved since the plan was made; the next run plans it anew")


async def _look(work: _Work) -> Record | None:
    """Return the target record as it is now, ``None`` when it has to be created.

    Raises:
        _Stale: the target moved since the plan was made.
    """
    change = work.change
    if change.action is Action.CREATE:
        return await _look_for_double(work)
    assert change.right_key is not None
    current = await _read(work, change.right_key)
    work.seen = Seen(change.right_key, current)
    if current is None:
        raise _Stale("the target lost the record since the plan was made; the next run plans it anew")
    _must_be_whole(current)
    if fingerprint(current.content) != fingerprint(change.before or {}) and not _satisfied(work, current):
        raise _Stale("somebody changed the target since the plan was made; the next run plans it anew")
    return current


async def _look_for_double(work: _Work) -> Record | None:
    change = work.change
    if change.right_key is not None and (linked := await _read(work, change.right_key)) is not None:
        # Not lost: only what identifies it was edited. Writing the fields may bring it back into the listing.
        _must_be_whole(linked)
        return linked
    found = await _find(work)
    if len(found) > 1:
        raise _Stale(f"{len(found)} records at the target claim {change.natural_key}; none of them is touched")
    if not found:
        return None
    _must_be_whole(found[0])
    return found[0]


def _must_be_whole(record: Record) -> None:
    """Refuse a target record that belongs to somebody else or cannot be read.

    Raises:
        _Stale: with the reason; comparing again shows it as a finding.
    """
    if strange := record.withheld or record.invalid:
        raise _Stale(f"{record.key} is not touched: {strange}")


async def _intend(work: _Work, current: Record | None) -> None:
    """Write down what is about to be done.

    Raises:
        _Stale: the target record is linked with another one.
    """
    key = None if current is None else current.key
    intended = await work.steps.intend(Intent(work.change, work.standing.failures + 1, key, work.seen))
    if intended.holder is not None:
        raise _Stale(_linked_elsewhere(work.change, key, intended.holder))
    work.effect_id, work.seen = intended.effect_id, None


def _linked_elsewhere(change: Change, right_key: str | None, holder: str | None) -> str:
    return f"{right_key} claims {change.natural_key} but is linked with {holder}; it is not touched"


async def _read(work: _Work, right_key: str) -> Record | None:
    record = await work.run.pair.right.read(right_key)
    return None if record is None else storable(record)


async def _find(work: _Work) -> list[Record]:
    return [storable(record) for record in await work.run.pair.right.find(work.change.natural_key)]


def _satisfied(work: _Work, current: Record) -> bool:
    after, alike = work.change.after, work.run.pair.alike
    return after is not None and all(alike(name, after[name], current.content.get(name)) for name in work.change.fields)


async def _converge(work: _Work, current: Record | None) -> str:
    """Create the record if need be, write the fields that differ, and settle what the target then shows."""
    change = work.change
    assert change.after is not None
    if current is None:
        current = await _create(work)
    alike = work.run.pair.alike
    differing = [name for name in change.fields if not alike(name, change.after[name], current.content.get(name))]
    blocked = set(change.blocked) | set(work.run.pair.blocked(current.content, change.after, tuple(differing)))
    fields = [name for name in differing if name not in blocked]
    observed = await _write(work, current, change.after, fields) if fields else current
    if change.action is Action.CREATE and observed.key == change.right_key:
        _must_be_known_as(work, observed)
    moved = moved_meanwhile(work.run.pair, change, observed.content, fields) - blocked
    settlement = agreement(work.run.pair, change, observed.key, observed.content, blocked=blocked, moved=moved)
    await _settle(work, observed, settlement)
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


async def _create(work: _Work) -> Record:
    change, target = work.change, work.run.pair.right
    assert change.after is not None
    try:
        check_fence()
        right_key = await target.create(change.natural_key, change.after)
    except PeerError as error:
        if error.kind is not FailureKind.AMBIGUOUS:
            raise
        right_key = await _find_lost_create(work, error)
    assert work.effect_id is not None
    # Noted and read at the same time; nothing is written before both are done.
    noting = asyncio.ensure_future(work.steps.name_target(change, work.effect_id, right_key))
    try:
        created = await _read(work, right_key)
    finally:
        holder = await noting
    if holder is not None:
        raise PeerError(
            work.run.pair.peers[1],
            FailureKind.PERMANENT,
            f"the create was answered with {right_key}, which is linked with {holder}; find out which of the two it "
            "is, then reprocess the record",
            key=change.key,
        )
    if created is None:
        raise PeerError(
            work.run.pair.peers[1], FailureKind.TRANSIENT, f"{right_key} was created but cannot be read", key=change.key
        )
    return created


async def _find_lost_create(work: _Work, error: PeerError) -> str:
    """Return what a create made whose reply was lost.

    Raises:
        PeerError: (transient) it is not to be seen; it may still be running, so the retry waits for it to be over.
    """
    run, change = work.run, work.change
    quiet = run.pair.quiet_seconds
    error.message = storable_text(error.message)
    assert work.effect_id is not None
    await work.steps.doubt(work.effect_id, str(error), quiet)
    found = await _find(work)
    if len(found) == 1:
        _must_be_whole(found[0])
        if (holder := await work.steps.holder(found[0].key)) not in (None, change.key):
            raise _Stale(_linked_elsewhere(change, found[0].key, holder))
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
        check_fence()
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
    work.seen = Seen(current.key, observed)
    if failure is None:
        pair = work.run.pair
        lenient = pair.lenient_fields
        unmet = {f for f in fields if f not in lenient and not pair.alike(f, after[f], observed.content.get(f))}
    else:
        unmet = not_arrived(work.run.pair, fields, current.content, after, observed.content)
    if not unmet:
        return observed
    raise failure or PeerError(
        work.run.pair.peers[1],
        FailureKind.TRANSIENT,
        f"accepted the write but shows other values for {', '.join(sorted(unmet))}; somebody else may be writing too",
        key=work.change.key,
    )


async def _retire(work: _Work, current: Record | None) -> str:
    assert current is not None
    failure: PeerError | None = None
    try:
        check_fence()
        await work.run.pair.right.retire(current)
    except PeerError as error:
        if stops_the_run(error) or not work.run.pair.minds_untracked:
            raise
        failure = error
    observed = await _read(work, current.key)
    if (
        failure is not None
        and observed is not None
        and not surely_retired(work.run.pair, work.change, observed.content)
    ):
        raise failure
    if observed is not None and not work.run.pair.retired(observed.content):
        work.seen = Seen(current.key, observed)
        raise PeerError(
            work.run.pair.peers[1],
            FailureKind.TRANSIENT,
            "accepted the retirement but shows the record in service; somebody else may be writing too",
            key=work.change.key,
        )
    observed = observed or current
    await _settle(work, observed, retirement(work.change, observed.content, linked=work.standing.linked))
    return work.change.reason


async def _settle(work: _Work, observed: Record, settlement: Settlement) -> None:
    assert work.effect_id is not None
    await work.steps.settle(Done(work.effect_id, observed, settlement, work.audit(observed.key)))


async def _failed(work: _Work, error: PeerError) -> Attempted:
    error.key = error.key or work.change.key
    error.message = storable_text(error.message)
    attempted = work.audit(work.change.right_key)
    return Attempted(
        Outcome.FAILED, await work.steps.fail(work.change, work.effect_id, error, attempted, work.seen), error
    )
