"""Decide about one candidate of the diff: a change, a finding, or leave it alone for a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import PRESENCE, Base, Mover, Verdict, merge
from sync_pipelines.engine.ports import Pair
from sync_pipelines.store.findings import ORPHAN, Finding


@dataclass(frozen=True, slots=True)
class Planned:
    """A change to make.

    Attributes:
        drift: something moved away from an earlier agreement on the right.
        untracked: the record was never linked, and goes by its natural key.
    """

    change: Change
    drift: bool
    untracked: bool = False


@dataclass(frozen=True, slots=True)
class Agreed:
    """Nothing to write; the base is brought up to what both sides say now."""

    key: str
    right_key: str
    natural_key: str
    left: Content
    right: Content


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Not in the plan.

    Attributes:
        why: one of the counters ``withheld``, ``invalid``, ``waiting``, ``dead_lettered``, ``blocked``.
        drifts: the sides should agree and do not.
    """

    key: str
    why: str
    reason: str
    drifts: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Something only a person can settle.

    Attributes:
        key: key of the left record concerned, if there is one.
        left: natural key of an untracked record that was to be retired and is left alone now.
    """

    key: str | None
    finding: Finding
    left: str | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """The sides do not agree, but what was seen does not allow to conclude anything."""

    key: str


@dataclass(frozen=True, slots=True)
class AtRest:
    """Nothing is to be done to it: it is retired, or the target keeps it apart."""


Decision = Planned | Agreed | LeftAlone | Found | Undecided | AtRest


@dataclass(frozen=True, slots=True)
class Sight:
    """What the snapshots behind a comparison allow to conclude.

    Attributes:
        selective: only some keys were looked at, which cannot show that a source is gone.
        complete: both sides were read completely; without it absence means nothing.
        sealed: the source's absence of a record is beyond doubt, so what is left at the target is an orphan.
    """

    selective: bool
    complete: bool
    sealed: bool


def decide(row: Row[Any], pair: Pair, sight: Sight, *, now: datetime, force: bool) -> Decision:
    """Apply the three-tree table to one candidate row of ``sql/statements/diff.sql``.

    Arguments:
        sight: what the snapshots allow to conclude.
        now: present time of the database, for retries that are not due yet.
        force: compare both sides field by field, whatever was agreed.
    """
    verdict = PRESENCE[row.left_key is not None, row.right_key is not None, row.has_base]
    if row.right_key is not None and row.right_withheld is not None and not pair.minds_misplaced:
        is_known = row.has_base or row.left_key is not None
        return LeftAlone(row.key, "withheld", row.right_withheld) if is_known else AtRest()
    if conflict := _conflict(row):
        return Found(row.key if row.has_base or row.left_key is not None else None, conflict)
    if row.renamed:
        # Where the link did not follow, more than one claims the natural key, and is reported as a duplicate.
        return Undecided(row.key)
    untracked = row.left_key is None and row.right_key is not None and (row.retired or not row.has_base)
    reason = pair.untracked(row.right_content) if untracked and pair.retires else None
    if untracked and (reason is None or row.key_taken or not row.natural_key):
        return AtRest() if row.retired else _orphan(row, pair, sight)
    if left_alone := _left_alone(row, now):
        return left_alone
    match verdict:
        case Verdict.CREATE | Verdict.RECREATE if sight.complete:
            return _create(row, pair, now, lost=verdict is Verdict.RECREATE)
        case Verdict.ADOPT | Verdict.UPDATE:
            return _merge(row, pair, force=force)
        case Verdict.RETIRE if sight.complete and not sight.selective:
            return _retire(row, reason or "gone at the source") if pair.retires else _orphan(row, pair, sight)
        case Verdict.ORPHAN if sight.complete and not sight.selective and reason is not None:
            return _retire(row, reason)
        case Verdict.FORGET if sight.complete and not sight.selective:
            return _forget(row)
    return Undecided(row.key)


def _orphan(row: Row[Any], pair: Pair, sight: Sight) -> Found | Undecided:
    if not sight.sealed:
        return Undecided(row.key)
    why = "gone at the source; this connection retires nothing" if row.has_base else "exists at the target only"
    finding = Finding(ORPHAN, row.right_key, row.natural_key, f"{why}; {_why_untouched(row, pair)}")
    # Only where untracked records are retired does one of them have a state of its own.
    left = row.natural_key if pair.minds_untracked and not row.has_base and not row.key_taken else None
    return Found(row.key if row.has_base else None, finding, left or None)


def _why_untouched(row: Row[Any], pair: Pair) -> str:
    if row.key_taken:
        return "its natural key is the key of another record at the source, so nothing is done to it"
    return "nothing is to be done to it now" if pair.minds_untracked and pair.retires else "nothing is done to it"


def _conflict(row: Row[Any]) -> Finding | None:
    if row.right_key is not None and row.right_withheld is not None:
        return Finding("misplaced", row.right_key, row.natural_key, row.right_withheld)
    if row.right_key is not None and row.right_invalid is not None:
        return Finding("unreadable", row.right_key, row.natural_key, row.right_invalid)
    if not row.has_base and (row.lefts > 1 or row.rights > 1):
        return Finding("duplicate", row.natural_key, row.natural_key, _duplicate(row))
    if row.claimed_by is not None:
        return Finding("duplicate", row.natural_key, row.natural_key, _claimed(row))
    return None


def _duplicate(row: Row[Any]) -> str:
    if row.lefts > 1:
        return f"{row.lefts} records at the source claim this natural key, or are linked under it; none is touched"
    return (
        f"{row.rights} records at the target claim this natural key. Which one is right cannot be guessed: "
        "remove the others (or their claim) at the target"
    )


def _claimed(row: Row[Any]) -> str:
    return (
        f"{row.claimed_by} claims this natural key at the target but is linked with another record; nothing is created "
        "beside it: restore what identified it at the target"
    )


def _left_alone(row: Row[Any], now: datetime) -> LeftAlone | None:
    if row.left_key is not None and row.left_invalid is not None:
        return LeftAlone(row.key, "invalid", row.left_invalid)
    if row.left_key is not None and row.left_withheld is not None:
        return LeftAlone(row.key, "withheld", row.left_withheld)
    if row.state == State.DEAD_LETTERED:
        return LeftAlone(row.key, "dead_lettered", "dead-lettered: waits until it is reprocessed")
    if row.state == State.RETRYING and row.next_retry_at > now:
        return LeftAlone(row.key, "waiting", "")
    return None


def _create(row: Row[Any], pair: Pair, now: datetime, *, lost: bool) -> Planned | LeftAlone:
    reason = pair.not_creatable(row.left_content)
    if reason is not None:
        return LeftAlone(row.key, "withheld", reason)
    if row.quiet_until is not None and row.quiet_until > now:
        return LeftAlone(row.key, "waiting", "the reply to an earlier create was lost; the target is looked at again")
    why = f"the target lost it (was {row.linked_key})" if lost else "missing at the target"
    return Planned(
        Change(
            action=Action.CREATE,
            key=row.key,
            natural_key=row.natural_key,
            right_key=row.linked_key,
            before=None,
            after=row.left_content,
            fields=tuple(sorted(row.left_content)),
            reason=why,
        ),
        drift=lost,
    )


def _merge(row: Row[Any], pair: Pair, *, force: bool) -> Planned | Agreed | LeftAlone:
    base = None if force or not row.has_base else Base(row.base_left, row.base_right)
    merged = merge(row.left_content, row.right_content, base, pair.alike)
    blocked = pair.blocked(row.right_content, row.left_content, tuple(merged.fields))
    fields: Sequence[str] = [name for name in merged.fields if name not in blocked]
    adopts = not row.has_base
    if merged.fields and not fields and not adopts:
        reason = "; ".join(sorted(set(blocked.values())))
        return LeftAlone(row.key, "blocked", reason, drifts=not pair.out_of_service(row.left_content))
    if merged.agreed and not adopts:
        return Agreed(row.key, row.right_key, row.natural_key, row.left_content, row.right_content)
    return Planned(
        Change(
            action=Action.UPDATE if fields else Action.ADOPT,
            key=row.key,
            natural_key=row.natural_key,
            right_key=row.right_key,
            before=row.right_content,
            after=row.left_content,
            fields=tuple(fields),
            reason=merged.reason or "found at the target by its natural key; both sides agree",
            adopts=adopts,
            blocked=tuple(sorted(blocked)),
            destructive=bool(fields) and pair.destructive(row.right_content, row.left_content),
        ),
        drift=(adopts and bool(fields)) or any(m in (Mover.TARGET, Mover.BOTH) for m in merged.fields.values()),
    )


def _retire(row: Row[Any], reason: str) -> Planned:
    change = Change(
        action=Action.RETIRE,
        key=row.key,
        natural_key=row.natural_key,
        right_key=row.right_key,
        before=row.right_content,
        after=None,
        fields=(),
        reason=reason,
        destructive=True,
    )
    return Planned(change, drift=False, untracked=not row.has_base)


def _forget(row: Row[Any]) -> Planned:
    change = Change(
        action=Action.FORGET,
        key=row.key,
        natural_key=row.natural_key,
        right_key=row.linked_key,
        before=None,
        after=None,
        fields=(),
        reason="gone on both sides",
    )
    return Planned(change, drift=False)
