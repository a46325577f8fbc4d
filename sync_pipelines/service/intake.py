"""Takes wishes for cycles. Those that come at the same time share a transaction."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store import audit, cycles
from sync_pipelines.store.cycles import Admission, Key, Verdict, Wish

CHAIN = "marketplaces"
"""The audit log's chain."""
_REMEMBERED = 1000


class Intake:
    """The one place through which cycles are asked for.

    A hundred calls at once must not wait for a hundred commits one after the other: while a transaction is under way,
    the calls that come in gather for the next one.

    Arguments:
        on_accepted: told when there is a run to be started.
    """

    def __init__(self, engine: Engine, on_accepted: Callable[[], None]) -> None:
        self._engine = engine
        self._on_accepted = on_accepted
        self._waiting: list[tuple[Wish, asyncio.Future[Admission]]] = []
        self._working: asyncio.Task[None] | None = None
        self._answered: OrderedDict[Key, Admission] = OrderedDict()

    async def ask(self, wish: Wish) -> Admission:
        """Ask for a cycle. What is answered is committed.

        Raises:
            sqlalchemy.exc.DBAPIError: the database cannot be used; nothing was accepted, or a repetition will tell.
        """
        key = wish.key
        if key is not None and (known := self._answered.get(key)) is not None:
            return known
        answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answer

    async def close(self) -> None:
        """Answer whoever waits."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._answer(batch)
        finally:
            self._working = None

    async def _answer(self, batch: Sequence[tuple[Wish, asyncio.Future[Admission]]]) -> None:
        try:
            admissions = await in_thread(_admit, self._engine, [wish for wish, _ in batch])
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (wish, answer), admission in zip(batch, admissions, strict=True):
            self._remember(wish, admission)
            if not answer.done():
                answer.set_result(admission)
        if any(admission.verdict is Verdict.ACCEPTED for admission in admissions):
            self._on_accepted()

    def _remember(self, wish: Wish, admission: Admission) -> None:
        """Keep what a repetition will be told; a key that is in the database stays there for ever."""
        key = wish.key
        if key is None:
            return
        repeated = Verdict.REPEATED if admission.verdict is Verdict.ACCEPTED else admission.verdict
        self._answered[key] = Admission(repeated, admission.cycle)
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)


def _admit(engine: Engine, wishes: Sequence[Wish]) -> list[Admission]:
    with engine.begin() as connection:
        admissions = cycles.admit(connection, wishes)
        entries = [
            audit.NewEntry(
                {
                    "action": "cycle_requested",
                    "success": True,
                    "cycle": admission.cycle.cycle_id,
                    "source": wish.source,
                    "by": wish.by,
                    "from": wish.address,
                    "connections": list(wish.connections),
                }
            )
            for wish, admission in zip(wishes, admissions, strict=True)
            if admission.verdict is Verdict.ACCEPTED
        ]
        audit.append_all(connection, CHAIN, entries)
    return admissions
