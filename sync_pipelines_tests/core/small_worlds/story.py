"""The story of a small world: a time of trouble, then a calm in which everything has to come right."""

from __future__ import annotations

from sync_pipelines.core.lifecycle import IllegalTransition, State
from sync_pipelines.core.trees import same
from sync_pipelines_tests.core.small_worlds.passes import reconcile
from sync_pipelines_tests.core.small_worlds.world import RULES, Broken, Rules, Tell, World, shown


def live(seed: int, rules: Rules = RULES, tell: Tell | None = None) -> None:
    """Run the world of a seed from its beginning to its end.

    Arguments:
        seed: 0 or more; the same seed is the same world on every machine.
        rules: the decisions to obey.
        tell: takes the story line by line.

    Raises:
        Broken: a promise was broken; the message says which.
    """
    world = World(seed, rules, tell)
    try:
        for _ in range(world.troubles):
            world.trouble()
            reconcile(world, calm=False)
        world.arrive()
        doomed = [key for key in world.base if key not in world.left and key in world.right]
        for number in (1, 2):
            if tell:
                tell(f"calm, pass {number}")
                world.show(tell)
            if not reconcile(world, calm=True):
                break
        _must_agree(world, doomed)
        changes = reconcile(world, calm=True)
    except IllegalTransition as error:
        raise Broken(str(error)) from error
    if changes:
        raise Broken(f"the third pass after the last edit still plans {changes} changes")


def _must_agree(world: World, doomed: list[str]) -> None:
    for key in doomed:
        if key in world.right:
            raise Broken(f"{key} is gone at the source and was not retired")
    for key, left in world.left.items():
        right = world.right.get(key)
        if right is None:
            raise Broken(f"{key} is missing on the right after two calm passes")
        for name, wanted in left.items():
            found, expected = right.get(name), shown(wanted)
            if found is not expected and not same(expected, found) and not world.blocked(right, [name]):
                raise Broken(f"{key}: {name} should be {expected!r} and is {found!r} after two calm passes")
        state = world.life[key]
        if state is not State.SYNCED and not (
            world.frozen and state in (State.PENDING, State.OUT_OF_SYNC, State.FAILED)
        ):
            raise Broken(f"{key} agrees and is {state}")
    for key in world.base:
        if key not in world.left:
            raise Broken(f"{key} is gone at the source and still linked after two calm passes")
