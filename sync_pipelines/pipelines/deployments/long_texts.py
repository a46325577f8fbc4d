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


class KeptTexts:
    """Texts that were just read and may be wanted once more, by digest. What is beyond the limit is not kept.

    Arguments:
        limit: characters of all of them.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._by_digest: dict[str, str] = {}

    def keep(self, sha256: str, text: str) -> None:
        """Keep a text that has this digest, if there is room."""
        if len(text) <= self._room and sha256 not in self._by_digest:
            self._room -= len(text)
            self._by_digest[sha256] = text

    def take(self, sha256: str) -> str | None:
        """Return a text and keep it no longer; ``None`` when it is not kept."""
        text = self._by_digest.pop(sha256, None)
        if text is not None:
            self._room += len(text)
        return text


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
