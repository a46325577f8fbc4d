"""Whole process groups: who is left in one, and how to end it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LOOK_SECONDS = 0.05


def is_alive(group: int) -> bool:
    """Whether a process of the group still runs. Zombies do not count: nobody may be there to reap them."""
    if not (_PROC / "self").exists():
        return _takes_signals(group)
    return any(_lives_in(group, stat) for stat in _PROC.glob("[0-9]*/stat"))


def _leads(group: int) -> bool:
    """Whether the group's first process still runs."""
    if not (_PROC / "self").exists():
        return _takes_signals(group)
    return _lives_in(group, _PROC / str(group) / "stat")


def end(groups: Iterable[int], *, grace_seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """End the groups: their leaders are asked first, then everybody in them, then they are killed.

    Leaders come first because they end their own children in good order.

    Arguments:
        grace_seconds: time until the kill; half of it belongs to the leaders.
        hurry: asked while waiting; True kills at once.
    """
    left = list(groups)
    for leader in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(leader, signal.SIGTERM)
    _wait(left, grace_seconds / 2, hurry, _leads)
    _signal(left, signal.SIGTERM)
    left = _wait(left, grace_seconds / 2, hurry, is_alive)
    _signal(left, signal.SIGKILL)
    _wait(left, grace_seconds, lambda: False, is_alive)


def _wait(groups: list[int], seconds: float, hurry: Callable[[], bool], lasts: Callable[[int], bool]) -> list[int]:
    """Wait until no group lasts any more; return those that do when the time is over."""
    deadline = time.monotonic() + seconds
    while groups := [group for group in groups if lasts(group)]:
        if hurry() or time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    return groups


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _takes_signals(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lives_in(group: int, stat: Path) -> bool:
    try:
        # The name, in parentheses, may hold anything; after it come state, parent and group.
        state, _, its_group, *_ = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in "ZX"
