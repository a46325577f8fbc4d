"""One pass over a small world: look, compare, plan, guard, apply. Every decision is made by the rules of ``core``."""

from __future__ import annotations

from sync_pipelines.core.guard import GuardFacts
from sync_pipelines.core.lifecycle import INITIAL, Event, State, sources_of
from sync_pipelines.core.plan import Action, Change, PlanCounts
from sync_pipelines.core.records import Content
from sync_pipelines.core.seal import Previous, Sweep
from sync_pipelines.core.trees import Base, Verdict
from sync_pipelines_tests.core.small_worlds.calls import FAULTS, FINE, Stop, apply, move, settled
from sync_pipelines_tests.core.small_worlds.world import Broken, World

# Bound once: looking a member up on its enum takes a tenth of a world's time.
_SYNCED, _RETRYING, _DEAD = State.SYNCED, State.RETRYING, State.DEAD_LETTERED
_AGREED, _DRIFTED = Event.AGREED, Event.DRIFTED
_MISSING, _LOST, _TO_ADOPT, _TO_MERGE = Verdict.CREATE, Verdict.RECREATE, Verdict.ADOPT, Verdict.UPDATE
_GONE, _BOTH_GONE, _ORPHAN = Verdict.RETIRE, Verdict.FORGET, Verdict.ORPHAN
_CREATE, _UPDATE, _ADOPT, _RETIRE, _FORGET = Action
_CAN_DRIFT = frozenset(sources_of(Event.DRIFTED))
_NO_REASONS: tuple[str, ...] = ()


def reconcile(world: World, *, calm: bool) -> int:
    """Run one pass and return the number of changes it planned.

    Arguments:
        calm: nothing fails any more, every retry is due, and a person has approved what is held.

    Raises:
        Broken: a promise was broken.
    """
    left, right, complete, unsealed = world.left, world.right, True, _NO_REASONS
    if world.unsteady:
        left, right, complete, unsealed = _listings(world, calm)
    changes = _plan(world, left, right, complete, calm)
    if not changes:
        return 0
    counts = PlanCounts()
    for change in changes:
        counts.add(change, state_field="tier")
    if counts.changes != len(changes):
        raise Broken(f"{len(changes)} changes were counted as {counts}")
    facts = GuardFacts(len(world.base) + counts.adopted, counts.destructive, len(changes), unsealed)
    verdict = world.rules.judge(world.limit.limits, facts)
    if world.tell:
        world.tell(f"a plan of {len(changes)} changes; {verdict}")
    if not calm:
        if verdict.held:
            return len(changes)
        _must_be_harmless(world, facts)
    try:
        for change in changes:
            apply(world, change, FINE if calm else FAULTS[world.draw() & 31])
    except Stop:
        if world.tell:
            world.tell("the run ends")
    return len(changes)


def _must_be_harmless(world: World, facts: GuardFacts) -> None:
    """Judge the plan once more, in whole numbers."""
    limits, above, below = world.limit
    many = facts.destructive > limits.max_count
    large = facts.destructive > limits.ignore_up_to and facts.destructive * below > facts.linked * above
    if many or large or facts.unsealed:
        raise Broken(f"the guard let {facts} pass {limits}")


def _listings(world: World, calm: bool) -> tuple[dict[str, Content], dict[str, Content], bool, tuple[str, ...]]:
    chance = 0 if calm else world.draw()
    left, left_gaps, left_doubts = _list(world, "left", world.left, chance & 15)
    right, right_gaps, right_doubts = _list(world, "right", world.right, chance >> 4)
    return left, right, not (left_gaps or right_gaps), left_gaps + left_doubts + right_gaps + right_doubts


def _list(
    world: World, side: str, records: dict[str, Content], chance: int
) -> tuple[dict[str, Content], tuple[str, ...], tuple[str, ...]]:
    """Return a listing and its judgement. It may lack its first record or all of them, and admit that or not."""
    seen, sweep = records, Sweep(declared=len(records), seen=len(records))
    if chance >= 8 and records:
        seen = {} if chance & 1 else dict(list(records.items())[1:])
        honest = chance & 6
        sweep = Sweep(declared=len(records) if honest == 4 else None, seen=len(seen))
        if honest == 2:
            sweep.gaps.append("a page had vanished")
        if world.tell:
            world.tell(f"the {side} listing shows {list(seen)} of {list(records)}: {sweep}")
    seal = world.rules.judge_sweep(sweep, records=len(seen), duplicates=0, previous=world.previous[side])
    if seal.sealed:
        world.previous[side] = Previous("", len(seen))
        if sweep.gaps or (sweep.declared is not None and sweep.declared != len(seen)):
            raise Broken(f"a listing with gaps was sealed: {sweep}")
    return seen, seal.incomplete, seal.suspicious


def _plan(
    world: World, lefts: dict[str, Content], rights: dict[str, Content], complete: bool, calm: bool
) -> list[Change]:
    changes: list[Change] = []
    life, bases = world.life, world.base
    for key in world.keys:
        left, right, base = lefts.get(key), rights.get(key), bases.get(key)
        state = life.get(key)
        if base is None:
            if left is None and right is None:
                _settle_gone(world, key)
                continue
        elif left is base.left and right is base.right and not world.thorough:
            if state is not _SYNCED:
                move(world, key, _AGREED)
            continue
        if state is None:
            if left is not None:
                life[key] = INITIAL
        elif (state is _DEAD or state is _RETRYING) and _waits(world, key, state, calm):
            continue
        change = _decide(world, key, left, right, base, complete)
        if change is not None:
            changes.append(change)
            if state in _CAN_DRIFT and change.action is not _CREATE:
                move(world, key, _DRIFTED)
        elif state is _RETRYING and life[key] is state:
            # Its retry was due and there is nothing to try.
            move(world, key, Event.ATTEMPT_FAILED)
    return changes


def _decide(
    world: World, key: str, left: Content | None, right: Content | None, base: Base | None, complete: bool
) -> Change | None:
    verdict = world.rules.presence[left is not None, right is not None, base is not None]
    if world.tell:
        world.tell(f"{key}: {verdict}")
    if verdict is _TO_MERGE or verdict is _TO_ADOPT:
        if left is None or right is None:
            raise Broken(f"{key} is on one side only and was taken for a pair")
        return _merge(world, key, left, right, base)
    if verdict is _ORPHAN:
        _settle_gone(world, key)
        return None
    if not complete:
        return None
    if verdict is _MISSING or verdict is _LOST:
        if left is None or right is not None:
            raise Broken(f"{key} was taken for missing at the target")
        return None if key in world.quiet else _change(_CREATE, key, None, left, tuple(left))
    if verdict is _GONE:
        if left is not None:
            raise Broken(f"{key} was taken for gone at the source")
        return _change(_RETIRE, key, right, None, (), destructive=True)
    return _change(_FORGET, key, None, None, ()) if verdict is _BOTH_GONE else None


def _merge(world: World, key: str, left: Content, right: Content, base: Base | None) -> Change | None:
    merged = world.rules.merge(left, right, base)
    if merged.agreed and base is not None:
        world.base[key] = Base(left, right)
        if world.life[key] is not _SYNCED:
            move(world, key, _AGREED)
        return None
    blocked = world.blocked(right, merged.fields)
    fields = tuple(name for name in merged.fields if name not in blocked) if blocked else tuple(merged.fields)
    if not fields and base is not None:
        return None
    action = _UPDATE if fields else _ADOPT
    return _change(action, key, right, left, fields, adopts=base is None, blocked=blocked)


def _change(
    action: Action,
    key: str,
    before: Content | None,
    after: Content | None,
    fields: tuple[str, ...],
    *,
    adopts: bool = False,
    destructive: bool = False,
    blocked: tuple[str, ...] = (),
) -> Change:
    return Change(action, key, key, key, before, after, fields, "", adopts, destructive, blocked)


def _waits(world: World, key: str, state: State, calm: bool) -> bool:
    if not calm:
        return state is _DEAD or world.draw() & 1 == 1
    if state is _DEAD:
        move(world, key, Event.REPROCESSED)
        world.failures[key] = 0
    return False


def _settle_gone(world: World, key: str) -> None:
    """Nothing is left to do for a record that is neither at the source nor linked."""
    state = world.life.get(key)
    if state is not None and state is not _SYNCED and state is not _DEAD and key not in world.left:
        settled(world, key)
