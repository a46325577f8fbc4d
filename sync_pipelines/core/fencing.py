"""The fence on the wire: a run that lost its lease while it was paused sends no write when it wakes.

The database fences what is written there. A call to a peer it cannot fence, so the last moment to look is right before
the request leaves. Whoever holds a lease puts up a guard for its tasks; whoever sends asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Guard = Callable[[], None]
"""Raises ``LeaseLost`` when nothing may be written any more."""

_GUARD: ContextVar[Guard | None] = ContextVar("guard", default=None)


def check_fence() -> None:
    """Ask whether a write may be sent now. Outside of every guard it may.

    Raises:
        LeaseLost: it may not; nothing was sent.
    """
    guard = _GUARD.get()
    if guard is not None:
        guard()


@contextmanager
def fenced_by(guard: Guard) -> Iterator[None]:
    """Put up a guard for the block and for every task that is started within.

    A guard that is up already stays up: who works under two leases writes nothing once either of them is lost.
    """
    outer = _GUARD.get()

    def both() -> None:
        if outer is not None:
            outer()
        guard()

    token = _GUARD.set(both)
    try:
        yield
    finally:
        _GUARD.reset(token)
