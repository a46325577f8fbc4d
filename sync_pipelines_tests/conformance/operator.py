"""What an operator can do with a subject and see of it; the closing assertion of every check is here."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.ports import Pair, Source
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.store import audit, findings, states
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.states import DeadLetter, RecordState
from sync_pipelines_tests.conformance.meddling import Moment, meddled
from sync_pipelines_tests.conformance.subject import USUAL, Opener, Opening, Subject
from sync_pipelines_tests.engine.worlds import approve_and_apply

log = logging.getLogger("sync_pipelines.conformance")

PEER_TABLES = ("scope", "snapshot", "record", "base", "plan", "plan_change", "effect", "record_state", "dead_letter")
"""What the engine remembers of a pair beside its audit log."""


@dataclass(frozen=True)
class Operator:
    """Runs a subject's pair and looks at what became of it."""

    subject: Subject
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def reconcile(
        self,
        opening: Opening = USUAL,
        *,
        meddling: Mapping[Moment, Callable[[], object]] | None = None,
        **options: Any,
    ) -> Reconciled:
        """Do one run. ``meddling`` happens at the target meanwhile; ``options`` are those of the engine."""
        opener = self.subject.opener(opening)
        return asyncio.run(self.reconciling(meddled(opener, meddling) if meddling else opener, **options))

    async def reconciling(self, opener: Opener, **options: Any) -> Reconciled:
        """Do one run within an event loop."""
        async with opener(self.subject.engine) as pair:
            return await reconcile(self.subject.engine, pair, run_id=f"run-{next(self.runs)}", log=log, **options)

    def approve(self, plan_hash: str, opening: Opening = USUAL) -> Reconciled:
        """Approve a held plan and apply it."""

        async def run() -> Reconciled:
            async with self.subject.opener(opening)(self.subject.engine) as pair:
                run_id = f"run-{next(self.runs)}"
                return await approve_and_apply(self.subject.engine, pair, plan_hash, run_id=run_id, log=log)

        return asyncio.run(run())

    def reconcile_with_break(self, between: Callable[[], object], opening: Opening = USUAL) -> Applied:
        """Do one run in which something happens after the plan was made and before it is applied."""

        async def run() -> Applied:
            engine = self.subject.engine
            async with (
                self.subject.opener(opening)(engine) as pair,
                working_on(engine, pair, f"run-{next(self.runs)}", log) as run,
            ):
                await together(extract(run, "left"), extract(run, "right"))
                plan = await in_thread(compare, run)
                between()
                return await apply(run, plan)

        return asyncio.run(run())

    def committed(self, action: Callable[[], object]) -> int:
        """Return how many writes the target committed during an action."""
        before = self.subject.commits()
        action()
        return self.subject.commits() - before

    @property
    def scope(self) -> Scope:
        """The scope's row."""
        with self.subject.engine.begin() as connection:
            return ensure_scope(connection, self.subject.pair_name, self.subject.scope_name)

    def state(self, key: str) -> RecordState:
        """Return where a record stands."""
        with self.subject.engine.begin() as connection:
            found = states.find_state(connection, self.scope, key)
        assert found is not None, f"{key} was never seen"
        return found

    def letters(self) -> list[DeadLetter]:
        """Return the open dead letters."""
        with self.subject.engine.begin() as connection:
            return states.letters(connection, self.subject.pair_name)

    def reprocess(self, *keys: str) -> list[str]:
        """Give dead letters a new life."""
        with self.subject.engine.begin() as connection:
            return states.reprocess(connection, self.scope, list(keys) or None, "ada")

    def findings(self, kind: str) -> list[str]:
        """Return the natural keys of the findings of a kind that stand."""
        with self.subject.engine.begin() as connection:
            standing = findings.standing(connection, self.subject.pair_name)
        return sorted(finding.natural_key for finding in standing if finding.kind == kind)

    def drift(self) -> int:
        """Return how many records were found drifted so far."""
        rows = self.sql(
            "SELECT coalesce(sum(value), 0) FROM sync.metric WHERE name LIKE '%!_drift!_detected' ESCAPE '!'"
        )
        return int(rows[0][0])

    def audited(self, key: str) -> list[dict[str, Any]]:
        """Return the audit entries of a record, oldest first."""
        with self.subject.engine.begin() as connection:
            return [dict(one.entry) for one in audit.entries(connection, self.subject.pair_name, key=key)]

    def dump(self) -> str:
        """Return every row of every table of the store as text."""
        tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'sync' ORDER BY tablename")
        rows = [row for (table,) in tables for row in self.sql(f"SELECT CAST(t AS text) FROM sync.{table} t")]
        return "\n".join(text_ for (text_,) in rows)

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run one statement; return its rows as tuples, or how many it touched."""
        with self.subject.engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else result.rowcount

    def let_time_pass(self) -> None:
        """Make everything due that waits for a time: retries, doubts, leases of the dead, an open breaker."""
        self.sql("UPDATE sync.record_state SET next_retry_at = now() - interval '1 s' WHERE state = 'retrying'")
        self.sql("UPDATE sync.effect SET quiet_until = now() - interval '1 s' WHERE quiet_until IS NOT NULL")
        self.sql("UPDATE sync.lease SET expires_at = now() - interval '1 s'")
        self.sql("DELETE FROM sync.peer")

    def lose_store(self) -> None:
        """Delete all that the engine remembers but its audit log."""
        self.sql(f"TRUNCATE {', '.join(f'sync.{table}' for table in PEER_TABLES)}, sync.finding CASCADE")

    def disagreements(self, but: Collection[str] = ()) -> list[str]:
        """Read both sides through the pair's own ports and return what does not agree.

        Arguments:
            but: keys of records of the source that are known not to agree.
        """

        async def look() -> list[str]:
            async with self.subject.opener()(self.subject.engine) as pair:
                lefts, rights = await together(_all(pair.left), _all(pair.right))
                return [*_unequal(pair, lefts, rights, but), *self._untended(pair, lefts, rights)]

        return asyncio.run(look())

    def _untended(self, pair: Pair, lefts: Sequence[Record], rights: Sequence[Record]) -> Iterator[str]:
        known = {left.natural_key for left in lefts} | set(self.findings("orphan"))
        for natural_key in {right.natural_key for right in rights} - known:
            if self.subject.in_service(natural_key):
                yield f"{natural_key} is in service without a source, and reported by nobody"

    def ends_well(self, *, but: Collection[str] = ()) -> None:
        """Assert that all is well at the end of a check: the closing assertion of the kit.

        Both sides agree, one more run writes nothing and finds no drift, the audit chain is intact, and no effect is
        unsettled.

        Arguments:
            but: keys of records of the source that are known not to agree.
        """
        drift = self.drift()
        runs: list[Reconciled] = []
        written = self.committed(lambda: runs.append(self.reconcile()))
        unsettled = self.sql("SELECT key, state FROM sync.effect WHERE state IN ('intended', 'in_doubt')")
        assert not written, f"a run in agreement wrote {written} times"
        assert [run.plan.changes for run in runs] == [0], f"a run in agreement plans {runs[0].plan.counts}"
        assert self.drift() == drift, "a run in agreement found drift"
        assert not (left := self.disagreements(but)), left
        assert not unsettled, unsettled
        with self.subject.engine.begin() as connection:
            assert audit.verify(connection, self.subject.pair_name).broken_at is None, "the audit chain is broken"


async def _all(side: Source) -> list[Record]:
    sweep = Sweep()
    return [record async for page in side.sweep(sweep) for record in page]


def _unequal(pair: Pair, lefts: Sequence[Record], rights: Sequence[Record], but: Collection[str]) -> Iterator[str]:
    for left in lefts:
        found = [right for right in rights if right.natural_key == left.natural_key and right.withheld is None]
        if left.key in but or left.withheld is not None or left.invalid is not None:
            continue
        if len(found) != 1:
            if found or pair.not_creatable(left.content) is None:
                yield f"{left.key} has {len(found)} counterparts"
            continue
        (right,) = found
        differing = [
            name
            for name, wanted in left.content.items()
            if name not in pair.lenient_fields and not pair.alike(name, wanted, right.content.get(name))
        ]
        if unexplained := sorted(set(differing) - set(pair.blocked(right.content, left.content, differing))):
            yield f"{left.key} differs in {', '.join(unexplained)}"
