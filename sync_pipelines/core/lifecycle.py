"""The life of a record under synchronization: one table.

A record is always in exactly one :class:`State`. What happens to it is an :class:`Event`; ``TRANSITIONS`` says which
state each event leads to. Anything not in the table cannot happen: :func:`advance` raises, and the store's set-based
updates use :func:`sources_of` as their condition. The diagram in ``docs/architecture.md`` is generated from the table.

Theory of operation: an attempt that fails puts the record into ``failed``. In the same transaction the failure is
judged: with retries left it goes on to ``retrying``, without (or when the peer refused for good) to ``dead_lettered``.
A record stays in ``failed`` only when the attempt was cut short by something that is not the record's fault
(credentials refused, run stopped): it costs no retry, and the next run takes it up again.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a record stands."""

    PENDING = "pending"
    """Seen, never synchronized."""
    SYNCED = "synced"
    """Both sides agree."""
    OUT_OF_SYNC = "out_of_sync"
    """Drift was found; a change is planned."""
    FAILED = "failed"
    """The last attempt failed and nothing is scheduled."""
    RETRYING = "retrying"
    """The last attempt failed; the next one has a time."""
    DEAD_LETTERED = "dead_lettered"
    """Given up until a person reprocesses it."""


class Event(StrEnum):
    """What can happen to a record."""

    AGREED = "agreed"
    DRIFTED = "drifted"
    ATTEMPT_FAILED = "attempt_failed"
    RETRY_SCHEDULED = "retry_scheduled"
    GIVEN_UP = "given_up"
    REPROCESSED = "reprocessed"


INITIAL = State.PENDING

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.AGREED): State.SYNCED,
    (State.PENDING, Event.ATTEMPT_FAILED): State.FAILED,
    (State.SYNCED, Event.AGREED): State.SYNCED,
    (State.SYNCED, Event.DRIFTED): State.OUT_OF_SYNC,
    (State.OUT_OF_SYNC, Event.AGREED): State.SYNCED,
    (State.OUT_OF_SYNC, Event.DRIFTED): State.OUT_OF_SYNC,
    (State.OUT_OF_SYNC, Event.ATTEMPT_FAILED): State.FAILED,
    (State.FAILED, Event.AGREED): State.SYNCED,
    (State.FAILED, Event.DRIFTED): State.OUT_OF_SYNC,
    (State.FAILED, Event.ATTEMPT_FAILED): State.FAILED,
    (State.FAILED, Event.RETRY_SCHEDULED): State.RETRYING,
    (State.FAILED, Event.GIVEN_UP): State.DEAD_LETTERED,
    (State.RETRYING, Event.AGREED): State.SYNCED,
    (State.RETRYING, Event.ATTEMPT_FAILED): State.FAILED,
    (State.DEAD_LETTERED, Event.AGREED): State.SYNCED,
    (State.DEAD_LETTERED, Event.REPROCESSED): State.PENDING,
}
"""(state, event) -> next state. ``retrying`` ignores drift: the retry reads the newest content anyway."""


class IllegalTransition(ValueError):
    """The event cannot happen to a record in this state."""


def advance(state: State, event: Event) -> State:
    """Return the state after the event.

    Raises:
        IllegalTransition: the table has no such entry.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a {state} record cannot be {event}") from None


def sources_of(event: Event) -> tuple[State, ...]:
    """Return the states in which the event may happen."""
    return tuple(state for state, candidate in TRANSITIONS if candidate is event)


def target_of(event: Event) -> State:
    """Return the one state an event leads to, whatever the state before (true of every event in the table)."""
    (target,) = {after for (_, candidate), after in TRANSITIONS.items() if candidate is event}
    return target


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL}"]
    lines += [f"    {before} --> {after}: {event}" for (before, event), after in TRANSITIONS.items() if before != after]
    return "\n".join(lines)
