"""Stopping a run on request (SIGTERM, Ctrl-C): what was begun is finished, nothing new is begun.

A change is finished once it is settled, so a run that is carrying out a plan ends after the changes in hand. Whatever
else a run does can be done again, and is dropped at once. A second request ends everything at once, as a kill would;
the next run finds out what became of it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

import uvloop

from sync_pipelines.core.errors import RunStopped

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOP: ContextVar[Stop | None] = ContextVar("stop", default=None)


class Stop:
    """The wish to end, and whoever has to be asked about it. For one event loop.

    Attributes:
        why: what asked for it, e.g. ``"SIGTERM"``; empty as long as nothing did.
    """

    def __init__(self) -> None:
        self.why = ""
        self._finishing = 0
        self._main: asyncio.Task[Any] | None = None
        self._bell = asyncio.Event()

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return bool(self.why)

    def ask(self, why: str) -> None:
        """Ask the run to end: when it can, at the first time; at once, from the second time on."""
        again, self.why = self.asked, self.why or why
        self._bell.set()
        if self._main is not None and (again or not self._finishing):
            self._main.cancel()

    async def within(self, seconds: float) -> bool:
        """Wait until the run is asked to end, but not longer than so many seconds. Returns whether it is."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), seconds)
        return self.asked

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Within the block a first request cancels nothing: the block looks at :attr:`asked` and ends by itself.

        Raises:
            RunStopped: the run was asked to end before.
        """
        if self.asked:
            raise RunStopped(f"stopped by {self.why} before anything was changed")
        self._finishing += 1
        try:
            yield
        finally:
            self._finishing -= 1

    async def over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work so that a request can end it.

        Raises:
            RunStopped: it was asked to end, and did.
        """
        self._main = asyncio.current_task()
        token = _STOP.set(self)
        try:
            return await work
        except asyncio.CancelledError:
            if not self.asked:
                raise
            raise RunStopped(
                f"stopped by {self.why}; nothing is left half done that the next run does not find"
            ) from None
        finally:
            self._main = None
            _STOP.reset(token)


def current_stop() -> Stop:
    """Return what may ask the running work to end; one that nobody asks where nobody is there to do so."""
    return _STOP.get() or Stop()


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as ``asyncio.run`` does, but let SIGTERM and SIGINT stop it gracefully.

    The handlers that were there before are back afterwards. Outside of the main thread, where signals cannot be
    handled, it is ``asyncio.run``.

    Raises:
        RunStopped: a signal stopped the work.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        return uvloop.run(stop.over(work))
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        return uvloop.run(_with_signals(stop, work))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _with_signals(stop: Stop, work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()

    def handle(number: int, _frame: FrameType | None) -> None:
        # Between the end of the loop and the return of the earlier handlers there is nothing left to stop.
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.ask, signal.Signals(number).name)

    for number in SIGNALS:
        signal.signal(number, handle)
    return await stop.over(work)
