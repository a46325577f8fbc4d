"""Requests that several records share, because they need the same at the same time.

The applier works on one record at a time, many of them side by side. While one request is on its way, what the other
records ask for waits, and goes together in the next one. Nobody's promise changes: each record has its own intent, its
own outcome, and is looked at before and after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sync_pipelines.core.errors import PeerError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

GATHER_SECONDS = 0.005
"""Records that were waiting for one commit come one after the other: without a wait the first would go alone."""
CRASHED = 500
"""HTTP status of a peer that fell over one of the items, most likely."""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Gathering(Generic[Item, Answer]):
    """Asks for many items in one request, one request at a time, for one event loop.

    Arguments:
        send: sends some items in one request and returns an answer or an error for each, in their order. A
            ``PeerError`` that it raises is everybody's.
        most: items in one request.
        repeatable: whether a request may be sent again at any time. Then the items of one that made the peer crash are
            sent one by one: the crash is the fault of one of them, and the others are not to be given up with it.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | PeerError]]],
        most: int,
        *,
        repeatable: bool = True,
    ) -> None:
        self._send = send
        self._most = most
        self._repeatable = repeatable
        self._waiting: list[_Asked[Item, Answer]] = []
        self._turn = asyncio.Lock()

    async def ask(self, item: Item) -> Answer:
        """Return the answer for one item.

        Raises:
            PeerError: of this item, or of the request that it was in.
        """
        if self._most == 1:
            return _told(await self._alone(item))
        asked: _Asked[Item, Answer] = _Asked(item, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        try:
            async with self._turn:
                # Whoever had the turn before may have asked for this item as well.
                if not asked.answer.done():
                    await asyncio.sleep(GATHER_SECONDS)
                    group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                    await self._ask_all(group)
            return await asked.answer
        except asyncio.CancelledError:
            # Nobody waits for it any more: a write of it would be one that nobody heard of.
            self._waiting = [one for one in self._waiting if one is not asked]
            raise

    async def _ask_all(self, group: Sequence[_Asked[Item, Answer]]) -> None:
        try:
            answers = await self._sent([one.item for one in group])
        except BaseException as error:
            # Also when this task is cancelled: the others would wait for ever.
            for one in group:
                if not one.answer.done():
                    one.answer.cancel()
            raise error
        for one, answer in zip(group, answers, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, PeerError):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)

    async def _sent(self, items: Sequence[Item]) -> Sequence[Answer | PeerError]:
        try:
            return await self._send(items)
        except PeerError as error:
            if len(items) > 1 and self._repeatable and error.status == CRASHED:
                return [await self._alone(item) for item in items]
            return [_own(error) for _ in items]

    async def _alone(self, item: Item) -> Answer | PeerError:
        try:
            [answer] = await self._send([item])
        except PeerError as error:
            return error
        return answer


def _told(answer: Answer | PeerError) -> Answer:
    if isinstance(answer, PeerError):
        raise answer
    return answer


def _own(error: PeerError) -> PeerError:
    """Return the same error for one record: its key and what is added to its message are that record's alone."""
    twin = error.__class__.__new__(error.__class__)
    twin.__dict__.update(error.__dict__)
    twin.args = error.args
    return twin
