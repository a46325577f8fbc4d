"""Work on texts that may be long, kept away from the event loop: 5 MB take seconds, and the lease wants its renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sync_pipelines.engine.tasks import in_thread

LONG_TEXT = 200_000
"""Characters from which a text is worked on in a thread."""

T = TypeVar("T")
P = ParamSpec("P")


class Workbench:
    """Does work at once when it is short, else in a thread.

    Arguments:
        places: long pieces worked on at the same time. Each takes many times its text's memory.
    """

    def __init__(self, places: int = 2) -> None:
        self._places = asyncio.Semaphore(places)

    async def do(self, size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function returns.

        Arguments:
            size: of the text that it works on, in characters.
        """
        if size < LONG_TEXT:
            return work(*args, **kwargs)
        async with self._places:
            return await in_thread(work, *args, **kwargs)
