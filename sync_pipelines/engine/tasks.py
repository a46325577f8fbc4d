"""Doing several things at once, with plain errors and no loose ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

from sync_pipelines.core.errors import LeaseLost

T = TypeVar("T")
P = ParamSpec("P")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a thread, so that the lease is renewed meanwhile.

    When cancelled, the function is waited for: a thread cannot be stopped, and the connection it uses must not go back
    to the pool under its hands.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()
        raise


async def together(*jobs: Coroutine[Any, Any, T]) -> list[T]:
    """Run jobs at the same time and return their results in order.

    When one fails the others are cancelled and waited for; then its error is raised as it is, not as a group. A lost
    lease goes before every other error, because the others may only follow from it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as failures:
        errors = list(_leaves(failures))
        raise next((error for error in errors if isinstance(error, LeaseLost)), errors[0]) from None
    return [task.result() for task in tasks]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
