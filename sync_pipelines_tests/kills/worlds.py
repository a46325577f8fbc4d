"""A subject with a few records in agreement, one change to carry over, and what is remembered of it afterwards."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.store import audit
from sync_pipelines_tests.conformance.subject import Capability, Mishap, Opening, Registration, Subject
from sync_pipelines_tests.engine.worlds import approve_and_apply
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.child import Work
from sync_pipelines_tests.kills.points import Point
from sync_pipelines_tests.kills.watch import About

RECORDS = 2
log = logging.getLogger(__name__)


def _create(subject: Subject, _key: str) -> str:
    return subject.add()[0]


def _edit(subject: Subject, key: str) -> str:
    subject.edit(key)
    return key


def _change_state(subject: Subject, key: str) -> str:
    subject.change_state(key)
    return key


def _remove(subject: Subject, key: str) -> str:
    subject.remove(key)
    return key


def _lose(subject: Subject, key: str) -> str:
    subject.delete_right(subject.natural_key(key))
    return key


ACTIONS: dict[str, Callable[[Subject, str], str]] = {
    "create": _create,
    "update": _edit,
    "state-change": _change_state,
    "retire": _remove,
}
"""What happens at the source: done to one of its records, returns the key of the record concerned."""


def actions_of(registration: Registration) -> list[str]:
    """Return what can happen at the source of a pipeline."""
    has_states = Capability.STATES in registration.can
    return [action for action in ACTIONS if has_states or action != "state-change"]


OCCASIONS = ACTIONS | {"recreate": _lose}
"""With what happens at the target."""

REMEMBERED = {
    "base": "SELECT natural_key, left_content, right_content, linked_by, agreed_at IS NOT NULL, retired_at IS NOT NULL "
    "FROM sync.base ORDER BY natural_key",
    "life cycle": "SELECT key, state, failures, first_error IS NOT NULL, next_retry_at IS NOT NULL "
    "FROM sync.record_state ORDER BY key",
    "findings": "SELECT kind, natural_key, detail FROM sync.finding ORDER BY kind, natural_key",
    "dead letters": "SELECT key, action, attempts, payload_hash, state FROM sync.dead_letter ORDER BY id",
    "audited": "SELECT key, entry->>'action', entry->>'success', entry->>'retry_count', entry->>'total_attempts', "
    "entry->'checksum', entry->'fields' FROM sync.audit WHERE key IS NOT NULL ORDER BY key, number",
    "counters": "SELECT name, value FROM sync.metric WHERE bucket = '' "
    "AND name ~ '_(total|successful|failed|dead_lettered)$' AND name !~ '_(runs|deployments|instances|errors|trips)_' "
    "ORDER BY name",
}
"""What must be the same after a kill as without one: name -> query. Counters of what runs saw grow with each run."""
LOOSE_ENDS = (
    "SELECT action, state FROM sync.effect WHERE state IN ('intended', 'in_doubt') "
    "UNION ALL SELECT 'plan', state FROM sync.plan WHERE state NOT IN ('applied', 'superseded')"
)
"""Attempts of which nobody knows what became of them, and plans that nobody finished."""


@dataclass(frozen=True)
class World:
    """A subject whose records agreed, one of which then changed."""

    subject: Subject
    opening: Opening
    key: str
    runs: Iterator[int] = field(default_factory=itertools.count)

    @property
    def engine(self) -> Engine:
        """The store's database."""
        return self.subject.engine

    def reconcile(self) -> Reconciled:
        """Do one run to its end."""
        return self._run(lambda pair, run_id: reconcile(self.engine, pair, run_id=run_id, log=log))

    def approve(self, plan_hash: str) -> Reconciled:
        """Approve a held plan and carry it out."""
        return self._run(lambda pair, run_id: approve_and_apply(self.engine, pair, plan_hash, run_id=run_id, log=log))

    def kill(self, point: Point, work: Work | None = None) -> None:
        """Do one run in a process of its own that is killed at a point, by default a reconcile of everything."""
        target = self.subject.peers["right"]
        work = work or child.reconciling(self.subject.opener(self.opening))
        child.kill(self.engine, work, point, About(self.key, f"{target.create}|{target.change}"))

    def approving(self, plan_hash: str) -> Work:
        """Return the work of approving a held plan, to be killed."""
        return child.approving(self.subject.opener(self.opening), plan_hash)

    def let_lease_expire(self) -> None:
        """Let the lease of a dead run come to its end."""
        self._execute("UPDATE sync.lease SET expires_at = expires_at - interval '1 hour'")

    def let_time_pass(self) -> None:
        """Let an hour pass: what was in flight has arrived or never will, and retries are due."""
        self.let_lease_expire()
        self._execute(
            "UPDATE sync.effect SET intended_at = intended_at - interval '1 hour', "
            "quiet_until = quiet_until - interval '1 hour'"
        )
        self._execute("UPDATE sync.record_state SET next_retry_at = next_retry_at - interval '1 hour'")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def remembered(self) -> dict[str, Any]:
        """Return the target's records and all that the engine remembers, without ids and times."""
        seen = {"shown": self.subject.shown(), "traces": self.subject.traces()}
        return seen | {name: self.rows(query) for name, query in REMEMBERED.items()}

    def audit_is_intact(self) -> bool:
        """Recompute the audit chain."""
        with self.engine.begin() as connection:
            return audit.verify(connection, self.subject.pair_name).intact

    def _run(self, do: Callable[[Pair, str], Awaitable[Reconciled]]) -> Reconciled:
        async def run() -> Reconciled:
            async with self.subject.opener(self.opening)(self.engine) as pair:
                return await do(pair, f"run-{next(self.runs)}")

        return asyncio.run(run())

    def _execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))


@contextmanager
def opened(
    registration: Registration, engine: Engine, occasion: str, *, guarded: bool = False, refused: bool = False
) -> Iterator[World]:
    """Open a world in which a change waits to be carried over.

    Arguments:
        occasion: one of ``OCCASIONS``.
        guarded: a plan that takes anything away is held.
        refused: the target refuses every write for good.
    """
    policies = {"guard": GuardLimits(max_count=0)} if guarded else {}
    with registration.opened(engine) as subject:
        keys = subject.add(RECORDS)
        World(subject, Opening(), "").reconcile()
        if refused:
            subject.hinder("create", Mishap.REFUSED, times=None)
            subject.hinder("change", Mishap.REFUSED, times=None)
        yield World(subject, Opening(policies=policies), OCCASIONS[occasion](subject, keys[0]))
