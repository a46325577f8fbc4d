"""A pair of systems in memory as a subject: nothing but the ports, no server, no credentials."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ports import Pair
from sync_pipelines_tests.conformance.subject import (
    USUAL,
    Capability,
    Mishap,
    Opener,
    Opening,
    Registration,
    ServedPeer,
    Side,
    Skew,
    Step,
)
from sync_pipelines_tests.engine.worlds import Fault, MemorySource, MemoryTarget, lost_reply, refused, rolled_back

_STEPS: Mapping[str, Step] = {"create": "create", "write": "change", "retire": "change"}
_FAULTS: Mapping[Mishap, Fault] = {
    Mishap.REFUSED: refused(FailureKind.PERMANENT, 400),
    Mishap.ROLLED_BACK: rolled_back,
    Mishap.ERROR_AFTER_COMMIT: lost_reply,
    Mishap.REPLY_LOST: lost_reply,
    Mishap.UNAUTHORIZED: refused(FailureKind.AUTH, 401),
}


@dataclass
class _Hindrance:
    step: Step
    fault: Fault
    times: int | None
    skip: int

    def acts(self, step: Step | None) -> bool:
        if step != self.step or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class _Target(MemoryTarget):
    """A target that counts what it committed, and can be hindered whatever the record."""

    def __init__(self) -> None:
        super().__init__("the target")
        self.committed: list[str] = []
        self.hindrances: list[_Hindrance] = []
        self.page = 300
        self.skew: Skew | None = None

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all records in pages, skewed as asked for."""
        rows = list(self.rows.values())
        sweep.identity, sweep.declared = self.identity, len(rows)
        sweep.declared += self.skew is Skew.TOTAL_TOO_LARGE
        for start in range(0, len(rows), self.page):
            page = rows[start : start + self.page]
            if self.skew is Skew.ROW_MISSING:
                page = page[:-1]
            elif self.skew is Skew.ROW_TWICE and start:
                page = [rows[start - 1], *page[1:]]
            sweep.seen += len(page)
            yield page

    def _meet(self, operation: str, natural_key: str, write: Callable[[], None]) -> None:
        def commit() -> None:
            write()
            if operation in _STEPS:
                self.committed.append(operation)

        step = _STEPS.get(operation)
        fault = next((one.fault for one in self.hindrances if one.acts(step)), None)
        if fault is None:
            commit()
        else:
            fault(self, commit)


@asynccontextmanager
async def _open(subject: MemorySubject, policies: Mapping[str, Any], engine: Engine) -> AsyncIterator[Pair]:
    yield replace(
        Pair(
            name=subject.pair_name,
            scope=subject.scope_name,
            left=subject.left,
            right=subject.right,
            peers=("source", "target"),
            state_field="state",
        ),
        **policies,
    )


@dataclass(frozen=True)
class MemorySubject:
    """Records with a name, a price and a state."""

    engine: Engine
    pair_name: str = "memory"
    scope_name: str = "one"
    peers: Mapping[Side, ServedPeer] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    left: MemorySource = field(default_factory=lambda: MemorySource("the source"))
    right: _Target = field(default_factory=_Target)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    removed: dict[str, Record] = field(default_factory=dict)

    def opener(self, opening: Opening = USUAL) -> Opener:
        return partial(_open, self, {"guard": GuardLimits(enabled=False), **opening.policies})

    def add(self, count: int = 1) -> list[str]:
        keys = [f"k{next(self.numbers):03}" for _ in range(count)]
        for key in keys:
            self.left.put(key, name=f"name of {key}", price="1.50", state="active")
        return keys

    def edit(self, key: str) -> None:
        self.left.put(key, price=f"{next(self.numbers)}.25")

    def rename(self, key: str, text: str) -> None:
        self.left.put(key, name=text)

    def change_state(self, key: str) -> None:
        state = self.left.rows[key].content["state"]
        self.left.put(key, state="paused" if state == "active" else "active")

    def remove(self, key: str) -> None:
        self.removed[key] = self.left.rows.pop(key)

    def bring_back(self, key: str) -> None:
        self.left.rows[key] = self.removed.pop(key)

    def spoil(self, key: str) -> None:
        self.removed[key] = self.left.rows[key]
        self.left.replace(key, content={}, invalid="it cannot be mapped")

    def mend(self, key: str) -> None:
        self.bring_back(key)

    def natural_key(self, key: str) -> str:
        return f"nk-{key}"

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        shown: dict[str, list[dict[str, Any]]] = {}
        for row in self.right.rows.values():
            shown.setdefault(row.natural_key, []).append(dict(row.content))
        return shown

    def traces(self) -> Any:
        return None

    def in_service(self, natural_key: str) -> int:
        return sum(one["state"] != "archived" for one in self.shown().get(natural_key, ()))

    def edit_right(self, natural_key: str) -> None:
        self.right.put(self._of(natural_key), name=f"edited {next(self.numbers)}")

    def overwrite_right(self, natural_key: str) -> None:
        self.right.put(self._of(natural_key), price=f"{next(self.numbers)}.75")

    def delete_right(self, natural_key: str) -> None:
        self.right.remove([row.key for row in self.right.rows.values() if row.natural_key == natural_key][-1])

    def double_right(self, natural_key: str) -> None:
        content = self.right.rows[self._of(natural_key)].content
        self.right.put(f"double of {natural_key}", natural_key, **content)

    def stray(self) -> str:
        number = next(self.numbers)
        self.right.put(f"stray{number}", f"nk-stray{number}", name="made by hand", price="1", state="active")
        return f"nk-stray{number}"

    def hinder(self, step: Step, mishap: Mishap, *, times: int | None = 1, skip: int = 0) -> None:
        self.right.hindrances.append(_Hindrance(step, _FAULTS[mishap], times, skip))

    def relent(self) -> None:
        self.right.hindrances.clear()

    def show_pages_of(self, rows: int) -> None:
        self.right.page = rows

    @contextmanager
    def skewed(self, skew: Skew) -> Iterator[None]:
        self.right.skew = skew
        yield
        self.right.skew = None

    def commits(self) -> int:
        return len(self.right.committed)

    def creates(self) -> int:
        return self.right.committed.count("create")

    def _of(self, natural_key: str) -> str:
        (key,) = (row.key for row in self.right.rows.values() if row.natural_key == natural_key)
        return key


@contextmanager
def _opened(engine: Engine) -> Iterator[MemorySubject]:
    yield MemorySubject(engine)


MEMORY = Registration(
    "memory",
    _opened,
    can=frozenset(
        {
            Capability.TOTALS,
            Capability.STATES,
            Capability.INVALID,
            Capability.DRAFTS,
            Capability.BLANKS,
            Capability.LEAVES_UNTRACKED,
        }
    ),
)
