"""Time that costs nothing: a clock that jumps to the next thing that is due, and the event loop that lives by it.

Everything happens in one thread in one order. What the engine hands to a thread runs at once, and where it would wait
the clock jumps; so the same seed gives the same story, to the microsecond.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, SupportsIndex, TypeVar, TypeVarTuple

from sync_pipelines_tests.simulation.process import PROCESS

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)


class Stalled(AssertionError):
    """Somebody waits for something that nobody will ever do."""


class Clock:
    """Virtual seconds since the world began."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @property
    def now(self) -> datetime:
        """The time of the world."""
        return BEGINNING + timedelta(seconds=self.seconds)

    @contextmanager
    def ruling(self) -> Iterator[None]:
        """Let ``time.monotonic`` and ``time.sleep`` go by the virtual time for the time of the block."""
        real = time.monotonic, time.sleep
        time.monotonic, time.sleep = lambda: self.seconds, self._pass
        try:
            yield
        finally:
            time.monotonic, time.sleep = real

    def _pass(self, seconds: float | SupportsIndex, /) -> None:
        self.seconds += float(seconds)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop by a virtual clock that knows which process each callback belongs to.

    What a killed process had still to do is never done; what a paused one has to do waits until it goes on.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(_NeverWaiting(clock))
        self._clock = clock
        self.set_default_executor(_AtOnce(max_workers=1))
        self.set_task_factory(_remembering)
        # Futures that a killed process left behind are nobody's mistake.
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        """The virtual time."""
        return self._clock.seconds

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call as soon as possible, if the process is still there."""
        context = copy_context() if context is None else context
        return super().call_soon(self._guarded(callback, context), *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a time, if the process is still there."""
        context = copy_context() if context is None else context
        return super().call_at(when, self._guarded(callback, context), *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """There is one thread only."""
        return self.call_soon(callback, *args, context=context)

    def _guarded(self, callback: Callable[[*Ts], object], context: Context) -> Callable[[*Ts], object]:
        process = context.get(PROCESS)
        if process is None:
            return callback

        def unless_dead(*args: *Ts) -> None:
            if process.dead:
                return
            if process.paused:
                process.waiting.append(lambda: self.call_soon(callback, *args, context=context))
            else:
                callback(*args)

        return unless_dead

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        # The base class would run the generator's cleanup; a killed process cleans nothing up.
        self._asyncgens.discard(agen)  # type: ignore[attr-defined]  # of the base class


class _NeverWaiting(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready; time passes instead."""
        if timeout is None:
            raise Stalled("everybody waits, and nothing is due")
        self._clock.seconds += max(timeout, 0.0)
        return []


class _AtOnce(ThreadPoolExecutor):
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run the function here and now."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            future.set_exception(error)
        return future


def _remembering(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task that its process holds on to: one that is collected would run its cleanup."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    context: Context | None = options.get("context")
    process = PROCESS.get() if context is None else context.get(PROCESS)
    if process is not None:
        process.tasks.append(task)
    return task
