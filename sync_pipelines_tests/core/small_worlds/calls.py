"""Carrying out a change at the target of a small world, where every call may go wrong, and writing down the outcome."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.lifecycle import INITIAL, Event, State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.core.retry import GiveUp, Retry
from sync_pipelines.core.trees import Base, same
from sync_pipelines_tests.core.small_worlds.world import Broken, World, shown

# Bound once: looking a member up on its enum takes a tenth of a world's time.
_SYNCED = State.SYNCED
_AGREED, _DRIFTED = Event.AGREED, Event.DRIFTED
_CREATE, _UPDATE, _ADOPT, _RETIRE, _FORGET = Action
_STATES = frozenset(State)


class Fault(NamedTuple):
    """What goes wrong with a call.

    Attributes:
        kind: the failure that is reported, ``None`` for an answer that looks good.
        done: how much of the request happens: 0 nothing, 1 half, 2 all.
        killed: the run dies with the call.
        again: the request arrives a second time, later.
        edited: a person edits the record just before.
        retry_after: seconds the peer asks to wait.
    """

    name: str
    kind: FailureKind | None = None
    done: int = 2
    killed: bool = False
    again: bool = False
    edited: bool = False
    retry_after: float | None = None


FINE = Fault("fine")
FAULTS = (
    *[FINE] * 16,
    *[Fault("lost", FailureKind.TRANSIENT, 0)] * 2,
    *[Fault("reply lost", FailureKind.AMBIGUOUS)] * 3,
    *[Fault("lost, or still on its way", FailureKind.AMBIGUOUS, 0, again=True)] * 2,
    *[Fault("half done", FailureKind.AMBIGUOUS, 1)] * 2,
    Fault("refused", FailureKind.PERMANENT, 0),
    Fault("too many", FailureKind.RATE_LIMITED, 0, retry_after=90.0),
    Fault("credentials refused", FailureKind.AUTH, 0),
    Fault("killed before", None, 0, killed=True),
    Fault("killed after", None, killed=True),
    Fault("doubled", again=True),
    Fault("edited meanwhile", edited=True),
)


class Stop(Exception):
    """The run ends here."""


def apply(world: World, change: Change, fault: Fault) -> None:
    """Carry out one change.

    Raises:
        Stop: the run ends with it.
    """
    key = change.key
    if world.tell:
        world.tell(f"apply {change.action} of {key} {change.fields}: {fault.name}")
    if change.action is _FORGET:
        del world.base[key]
        settled(world, key)
    elif change.action is _ADOPT:
        _agree(world, change, world.right[key], change.blocked)
    else:
        if fault.edited and key in world.right:
            world.right[key] = {**world.right[key], **world.shape.shown[world.draw() % len(world.shape.shown)]}
        failed = _retire(world, change, fault) if change.action is _RETIRE else _converge(world, change, fault)
        if failed is not None:
            _failed(world, key, failed, fault)


def _retire(world: World, change: Change, fault: Fault) -> FailureKind | None:
    key = change.key
    if world.right.get(key) is not change.before:
        return None
    world.must_be_ours(key)
    if fault.done == 2:
        del world.right[key]
    if fault.killed:
        raise Stop
    if fault.kind is None:
        # The link is kept until a later pass finds both sides gone.
        settled(world, key)
    return fault.kind


def _converge(world: World, change: Change, fault: Fault) -> FailureKind | None:
    """Create the record if need be, write what differs, and settle what the target then shows."""
    key, after, rights = change.key, change.after, world.right
    assert after is not None
    current = rights.get(key)
    if change.action is _UPDATE and current is not change.before:
        return None
    world.must_be_ours(key)
    if current is None:
        _write(world, key, after, {}, fault, creates=True)
        if key not in rights:
            return fault.kind
        current, fault = rights[key], FINE
    fields: Collection[str] = change.fields
    if current is not change.before:
        fields = [name for name in fields if not same(after[name], current.get(name))]
    blocked = {*change.blocked, *world.blocked(current, fields)} if world.frozen else ()
    wanted = {name: after[name] for name in fields if name not in blocked}
    if wanted:
        _write(world, key, wanted, current, fault, creates=False)
        observed = rights[key]
        # After an answer that looks good the target's own spelling is accepted; otherwise only the very value is.
        if fault.kind and not all(same(value, observed.get(name)) for name, value in wanted.items()):
            return fault.kind
    _agree(world, change, rights[key], blocked)
    return None


def _write(world: World, key: str, values: Content, current: Content, fault: Fault, *, creates: bool) -> None:
    if creates and key in world.right:
        raise Broken(f"{key} was created twice")
    told = {name: shown(value) for name, value in values.items()}
    if fault.done == 2 or (fault.done and creates):
        world.right[key] = {**current, **told}
    elif fault.done:
        first = next(iter(told))
        world.right[key] = {**current, first: told[first]}
    if fault.again:
        world.late.append((key, told, creates))
        if creates and not fault.done:
            world.quiet.add(key)
    if fault.killed:
        raise Stop


def _agree(world: World, change: Change, observed: Content, blocked: Collection[str]) -> None:
    """Make what both sides say now the new base; fields held back stay out of it."""
    key, after = change.key, change.after
    assert after is not None
    if not blocked:
        world.base[key] = Base(after, observed)
        settled(world, key)
        return
    world.base[key] = Base(
        {name: value for name, value in after.items() if name not in blocked},
        {name: value for name, value in observed.items() if name not in blocked},
    )
    before = world.life[key]
    settled(world, key)
    if before is INITIAL:
        world.life[key] = INITIAL
    else:
        move(world, key, _DRIFTED)


def _failed(world: World, key: str, kind: FailureKind, fault: Fault) -> None:
    failures = world.failures.get(key, 0) + 1
    if world.life[key] is _SYNCED:
        move(world, key, _DRIFTED)
    move(world, key, Event.ATTEMPT_FAILED)
    decision = world.rules.after_failure(kind, failures, world.policy, retry_after=fault.retry_after)
    if isinstance(decision, Retry):
        if failures > world.policy.max_retries or decision.delay.total_seconds() < (fault.retry_after or 0):
            raise Broken(f"{key}: {decision} after {failures} failures of {world.policy}")
        move(world, key, Event.RETRY_SCHEDULED)
    elif isinstance(decision, GiveUp):
        move(world, key, Event.GIVEN_UP)
    else:
        raise Stop
    world.failures[key] = failures


def settled(world: World, key: str) -> None:
    if world.failures:
        world.failures.pop(key, None)
    move(world, key, _AGREED)


def move(world: World, key: str, event: Event) -> None:
    state = world.rules.advance(world.life[key], event)
    if world.tell:
        world.tell(f"{key}: {world.life[key]} -> {state} ({event})")
    if state not in _STATES:
        raise Broken(f"{key} left the life cycle: {state}")
    world.life[key] = state
