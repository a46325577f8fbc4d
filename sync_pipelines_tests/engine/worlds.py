"""A pair of systems in memory: strict about what it accepts, scripted in how it fails, and countable."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.apply import apply
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.reconcile import Reconciled, approve, reconcile
from sync_pipelines.store import audit, findings, states
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.states import RecordState

PAGE = 7
Fault = Callable[["MemoryTarget", Callable[[], None]], None]
"""Is given the target and the write that is due; carries it out or not, and may raise."""


def refused(kind: FailureKind, status: int | None = None, **more: Any) -> Fault:
    """Nothing happens but the refusal."""

    def fault(target: MemoryTarget, write: Callable[[], None]) -> None:
        raise PeerError("target", kind, "refused by script", status=status, **more)

    return fault


def breaker_open(target: MemoryTarget, write: Callable[[], None]) -> None:
    """Nothing is sent."""
    raise PeerUnavailable("target", FailureKind.TRANSIENT, "the circuit breaker is open")


def lost_reply(target: MemoryTarget, write: Callable[[], None]) -> None:
    """The write is done, its reply never arrives."""
    write()
    raise PeerError("target", FailureKind.AMBIGUOUS, "no reply")


def rolled_back(target: MemoryTarget, write: Callable[[], None]) -> None:
    """A 500 before anything was committed: to the caller the same as a lost reply."""
    raise PeerError("target", FailureKind.AMBIGUOUS, "server error", status=500)


def ignored(target: MemoryTarget, write: Callable[[], None]) -> None:
    """The write is answered with success and has no effect."""


def after(edit: Callable[[], object]) -> Fault:
    """Somebody else does something between the look and the write."""

    def fault(target: MemoryTarget, write: Callable[[], None]) -> None:
        edit()
        write()

    return fault


def before(edit: Callable[[], object]) -> Fault:
    """Somebody else does something between the write and its being read back."""

    def fault(target: MemoryTarget, write: Callable[[], None]) -> None:
        write()
        edit()

    return fault


class MemorySource:
    """A side that can be read."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.rows: dict[str, Record] = {}
        self.gaps: list[str] = []
        self.declares: int | None = None
        self.reads = 0

    def put(self, key: str, natural_key: str | None = None, **content: Any) -> None:
        """Add or change a record as its owner would; fields not named stay."""
        old = self.rows.get(key)
        kept = dict(old.content) if old else {}
        name = natural_key or (old.natural_key if old else f"nk-{key}")
        self.rows[key] = Record(key, name, kept | content)

    def replace(self, key: str, **attributes: Any) -> None:
        """Change anything about a record."""
        old = self.rows[key]
        known = {name: getattr(old, name) for name in ("natural_key", "content", "meta", "withheld", "invalid")}
        self.rows[key] = Record(key, **(known | attributes))

    def remove(self, *keys: str) -> None:
        """Delete records."""
        for key in keys:
            del self.rows[key]

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all records in pages."""
        sweep.identity = self.identity
        rows = list(self.rows.values())
        sweep.declared = len(rows) if self.declares is None else self.declares
        for start in range(0, len(rows), PAGE):
            await asyncio.sleep(0)
            page = rows[start : start + PAGE]
            sweep.seen += len(page)
            yield page
        sweep.gaps += self.gaps
        self.reads += 1

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records with these natural keys."""
        sweep.identity = self.identity
        yield [row for row in self.rows.values() if row.natural_key in natural_keys]


class MemoryTarget(MemorySource):
    """A side that can be written.

    Attributes:
        cleaned: fields of which the blanks at both ends are cut when they are written.
        shows: which records its listing and its search show; reading by key shows every record.
        scripts: faults by operation ("create", "write", "retire", "read", "find") and natural key, used up in order.
        done: writes that reached the target, by operation.
    """

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.cleaned: set[str] = set()
        self.scripts: dict[tuple[str, str], list[Fault]] = defaultdict(list)
        self.sent: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._busy: set[str] = set()

    def script(self, operation: str, natural_key: str, *faults: Fault) -> None:
        """Let the next operations on a record meet these faults."""
        self.scripts[operation, natural_key] += faults

    @property
    def writes(self) -> int:
        """Requests to write that were sent, whatever came of them."""
        return self.sent.total()

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every record with this natural key."""
        await asyncio.sleep(0)
        self._meet("find", natural_key, lambda: None)
        return [row for row in self.rows.values() if row.natural_key == natural_key]

    async def read(self, right_key: str) -> Record | None:
        """Return one record."""
        await asyncio.sleep(0)
        row = self.rows.get(right_key)
        if row is not None:
            self._meet("read", row.natural_key, lambda: None)
        return self.rows.get(right_key)

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a draft: only the name is stored, the other fields need a write."""
        key = f"r{next(self._numbers)}"
        first = {name: self._stored(name, content[name]) for name in content if name == "name"}

        def write() -> None:
            self.rows[key] = Record(key, natural_key, {"state": "draft"} | first)

        with self._request("create", natural_key):
            await asyncio.sleep(0)
            self._meet("create", natural_key, write)
        return key

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write the named fields."""
        assert fields, "a write without fields is a wasted request"
        assert set(fields) <= content.keys()

        def write() -> None:
            row = self.rows.get(current.key)
            if row is None:
                raise PeerError("target", FailureKind.GONE, "no such record", status=404)
            written = {name: self._stored(name, content[name]) for name in fields}
            self.replace(current.key, content={**row.content, **written})

        with self._request("write", current.natural_key):
            await asyncio.sleep(0)
            self._meet("write", current.natural_key, write)

    async def retire(self, current: Record) -> None:
        """Archive a record."""

        def write() -> None:
            self.replace(current.key, content={**self.rows[current.key].content, "state": "archived"})

        with self._request("retire", current.natural_key):
            await asyncio.sleep(0)
            self._meet("retire", current.natural_key, write)

    @contextmanager
    def _request(self, operation: str, natural_key: str) -> Iterator[None]:
        assert natural_key not in self._busy, f"two requests for {natural_key} at once"
        self._busy.add(natural_key)
        self.sent[operation] += 1
        try:
            yield
        finally:
            self._busy.discard(natural_key)

    def _meet(self, operation: str, natural_key: str, write: Callable[[], None]) -> None:
        waiting = self.scripts[operation, natural_key]
        if waiting:
            waiting.pop(0)(self, write)
        else:
            write()

    def _stored(self, name: str, value: Any) -> Any:
        return value.strip() if name in self.cleaned else value


def is_archived(content: Content) -> bool:
    """Say whether the target shows a record as retired."""
    return content.get("state") == "archived"


@dataclass
class World:
    """Two sides, the engine's database, and the policies between them."""

    engine: Engine
    left: MemorySource = field(default_factory=lambda: MemorySource("the source"))
    right: MemoryTarget = field(default_factory=lambda: MemoryTarget("the target"))
    policies: dict[str, Any] = field(default_factory=dict)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("worlds"))
    runs: Iterator[int] = field(default_factory=itertools.count)

    @property
    def pair(self) -> Pair:
        """The description the engine gets."""
        policies: dict[str, Any] = {"retires": True, "retired": is_archived, "state_field": "state"}
        policies |= {"audit_scope": "provider-1", **self.policies}
        return Pair(
            name="worlds", scope="one", left=self.left, right=self.right, peers=("source", "target"), **policies
        )

    @property
    def scope(self) -> Scope:
        """The scope's row."""
        with self.engine.begin() as connection:
            return ensure_scope(connection, "worlds", "one")

    def fill(self, count: int) -> list[str]:
        """Put records k01, k02, ... on the left."""
        keys = [f"k{number:02}" for number in range(1, count + 1)]
        for key in keys:
            self.left.put(key, name=f"name of {key}", price="1.50", state="active")
        return keys

    def reconcile(self, **options: Any) -> Reconciled:
        """Do one run and return what it says."""
        return asyncio.run(self.reconciling(**options))

    async def reconciling(self, **options: Any) -> Reconciled:
        """Do one run within an event loop."""
        return await reconcile(self.engine, self.pair, run_id=f"run-{next(self.runs)}", log=self.log, **options)

    def approve(self, plan_hash: str) -> Reconciled:
        """Approve a plan and apply it."""
        return asyncio.run(
            approve_and_apply(self.engine, self.pair, plan_hash, run_id=f"run-{next(self.runs)}", log=self.log)
        )

    def writes_of(self, action: Callable[[], object]) -> dict[str, int]:
        """Return the writes that an action sent, by operation."""
        before = self.right.sent.copy()
        action()
        return dict(self.right.sent - before)

    def agrees(self) -> bool:
        """Say whether every record of the left is on the right with the same content."""
        links = self.links()
        return all(
            key in links and links[key] in self.right.rows and _agree(row, self.right.rows[links[key]])
            for key, row in self.left.rows.items()
        )

    def links(self) -> dict[str, str]:
        """Return left key -> right key."""
        return dict(self.sql("SELECT left_key, right_key FROM sync.base WHERE scope_id = :id", id=self.scope.id))

    def state(self, key: str) -> RecordState:
        """Return where a record stands."""
        with self.engine.begin() as connection:
            found = states.find_state(connection, self.scope, key)
        assert found is not None, f"{key} was never seen"
        return found

    def tally(self) -> Mapping[State, int]:
        """Return how many records are in each state; states without any are left out."""
        with self.engine.begin() as connection:
            return {state: number for state, number in states.tally(connection, self.scope).items() if number}

    def findings(self) -> set[tuple[str, str]]:
        """Return kind and key of what stands."""
        with self.engine.begin() as connection:
            return {(found.kind, found.key) for found in findings.standing(connection, "worlds")}

    def letters(self, *, open_only: bool = True) -> list[states.DeadLetter]:
        """Return the dead letters."""
        with self.engine.begin() as connection:
            return states.letters(connection, "worlds", open_only=open_only)

    def reprocess(self, *keys: str) -> list[str]:
        """Reprocess dead letters as an operator would."""
        with self.engine.begin() as connection:
            return states.reprocess(connection, self.scope, list(keys) or None, "ada")

    def audit(self) -> list[dict[str, Any]]:
        """Return the audit entries."""
        with self.engine.begin() as connection:
            return [dict(entry.entry) for entry in audit.entries(connection, "worlds")]

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run one statement; return its rows as tuples, or how many it touched."""
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else result.rowcount

    def let_time_pass(self) -> None:
        """Make every retry due and every quiet time over."""
        self.sql("UPDATE sync.record_state SET next_retry_at = now() - interval '1 second' WHERE state = 'retrying'")
        self.sql("UPDATE sync.effect SET quiet_until = now() - interval '1 second' WHERE quiet_until IS NOT NULL")


async def approve_and_apply(
    engine: Engine, pair: Pair, plan_hash: str, *, run_id: str, log: logging.Logger
) -> Reconciled:
    """Approve a held plan under the scope's lease and carry it out."""
    async with working_on(engine, pair, run_id, log) as run:
        plan = approve(run, plan_hash, "ada")
        return Reconciled(plan, await apply(run, plan), seconds=0.0)


def _agree(left: Record, right: Record) -> bool:
    return all(right.content.get(name) == value for name, value in left.content.items())
