"""The time of a stand-in, which tests may move."""

from __future__ import annotations

import time


class Clock:
    """Tells Unix seconds: those of the machine, or those of a moment that only passes when it is told to.

    Arguments:
        standing_at: the moment to stand at; ``None`` follows the machine.
    """

    def __init__(self, standing_at: float | None = None) -> None:
        self._standing_at = standing_at
        self._offset = 0.0

    def now(self) -> float:
        """Return Unix seconds."""
        return (time.time() if self._standing_at is None else self._standing_at) + self._offset

    def advance(self, seconds: float) -> None:
        """Let time pass at once; a follower of the machine keeps the lead."""
        self._offset += seconds
