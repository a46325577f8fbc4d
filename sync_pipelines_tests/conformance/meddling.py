"""A pair at whose target something happens just before or just after an operation, whatever the systems are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import Engine

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Pair, Target
from sync_pipelines_tests.conformance.subject import Opener

When = Literal["before", "after"]
Operation = Literal["sweep", "find", "read", "create", "write", "retire"]
Moment = tuple[When, Operation]


class Killed(BaseException):
    """Ends a run in the middle, past everything that catches errors."""


def kill() -> None:
    """Raise :class:`Killed`."""
    raise Killed


@dataclass
class MeddledTarget:
    """A target that runs an action the first time that a moment comes."""

    inner: Target
    actions: Mapping[Moment, Callable[[], object]]
    met: set[Moment] = field(default_factory=set)

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record."""
        self._meet("before", "sweep")
        async for page in self.inner.sweep(sweep):
            yield page
        self._meet("after", "sweep")

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records with these natural keys."""
        async for page in self.inner.look(natural_keys, sweep):
            yield page

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every record with this natural key."""
        self._meet("before", "find")
        found = await self.inner.find(natural_key)
        self._meet("after", "find")
        return found

    async def read(self, right_key: str) -> Record | None:
        """Return one record."""
        self._meet("before", "read")
        record = await self.inner.read(right_key)
        self._meet("after", "read")
        return record

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a record."""
        self._meet("before", "create")
        right_key = await self.inner.create(natural_key, content)
        self._meet("after", "create")
        return right_key

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write fields of a record."""
        self._meet("before", "write")
        await self.inner.write(current, content, fields)
        self._meet("after", "write")

    async def retire(self, current: Record) -> None:
        """Take a record out of service."""
        self._meet("before", "retire")
        await self.inner.retire(current)
        self._meet("after", "retire")

    def _meet(self, when: When, operation: Operation) -> None:
        moment = (when, operation)
        if moment in self.actions and moment not in self.met:
            self.met.add(moment)
            self.actions[moment]()


def meddled(opener: Opener, actions: Mapping[Moment, Callable[[], object]]) -> Opener:
    """Return an opener of the same pair with actions at its target; each must have run when the pair is closed."""

    @asynccontextmanager
    async def opened(engine: Engine) -> AsyncIterator[Pair]:
        async with opener(engine) as pair:
            target = MeddledTarget(pair.right, actions)
            yield replace(pair, right=target)
            assert target.met == set(actions), f"never came: {set(actions) - target.met}"

    def open_(engine: Engine) -> AbstractAsyncContextManager[Pair]:
        return opened(engine)

    return open_
