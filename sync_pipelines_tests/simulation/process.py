"""Processes of a world: what SIGKILL ends and SIGSTOP holds, without anybody's ``finally`` being asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, get_args

MOST_CLOSINGS = 10
"""A coroutine may wait again in its cleanup; then it is closed again."""

Moment = Literal["statement", "before commit", "after commit", "before call", "during call", "after call"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)


class Killed(BaseException):
    """Stands for SIGKILL at this very line. Never seen by anybody: the process it is raised in is dead already."""


@dataclass
class Doom:
    """Where a process is going to die, or to be stopped: at the n-th statement, commit or write request.

    Attributes:
        pause: seconds to be stopped for; 0 is death.
    """

    moment: Moment
    number: int
    pause: float = 0.0


@dataclass(eq=False)
class Process:
    """One process that works with the engine.

    Attributes:
        name: its run id.
        doom: where it is going to be killed, if it is.
        dead: killed: nothing it had to do is done any more.
        paused: stopped: everything it has to do waits.
        edits_at_start: number of edits by people before it began.
        ended: set when it is over, one way or the other.
    """

    name: str
    doom: Doom | None = None
    dead: bool = False
    paused: bool = False
    edits_at_start: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: list[Callable[[], object]] = field(default_factory=list)
    tasks: list[asyncio.Task[object]] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)
    on_death: Callable[[str], None] = lambda why: None
    on_pause: Callable[[float], None] = lambda seconds: None

    def meet(self, moment: Moment) -> None:
        """Come to a moment at which the process may be doomed.

        Raises:
            Killed: this was it, or it was dead before.
        """
        if self.dead:
            raise Killed
        number = self.passed[moment] = self.passed.get(moment, 0) + 1
        if self.doom is None or (self.doom.moment, self.doom.number) != (moment, number):
            return
        if self.doom.pause:
            self.on_pause(self.doom.pause)
        else:
            self.kill(f"{moment} {number}")
            raise Killed

    def kill(self, why: str) -> None:
        """End it here."""
        if not self.dead:
            self.dead = True
            self.ended.set()
            self.on_death(why)

    def go_on(self) -> None:
        """Let a paused process go on with all that came meanwhile, in the order it came."""
        self.paused = False
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()

    def bury(self) -> None:
        """Take the remains of a killed process apart, when nothing it does can matter any more."""
        for task in self.tasks:
            if task.done():
                continue
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch for this
            _close(task)
        self.tasks.clear()


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
"""The process that the running code belongs to; ``None`` for the rest of the world."""


def _close(task: asyncio.Task[object]) -> None:
    coroutine = task.get_coro()
    for _ in range(MOST_CLOSINGS):
        try:
            coroutine.close()
        except BaseException:
            continue
        return
