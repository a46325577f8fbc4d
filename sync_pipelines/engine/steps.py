"""The transactions of an attempt: each is one step of the journal, done for all records that are at it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Record
from sync_pipelines.engine import ledger, settle
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.journal import Journal
from sync_pipelines.engine.ledger import Attempt
from sync_pipelines.engine.settle import Settlement
from sync_pipelines.store import base, effects, plans
from sync_pipelines.store.attempts import Standing, standings
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.observations import drop_records, put_records, putting
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.statements import Part, execute


class Outcome(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    STALE = "stale"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the target showed under a key; ``None`` when it has no such record."""

    right_key: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done.

    Attributes:
        attempt: number of the attempt, from 1.
        target: key of the target record that will be written, ``None`` before a create.
        seen: the target record as it was planned against and still is, to be kept.
    """

    change: Change
    attempt: int
    target: str | None
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Intended:
    """The intent's effect; or the left key that the target record is linked with, and then no effect."""

    effect_id: int | None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was carried out, and the target record as it is afterwards."""

    effect_id: int
    observed: Record
    settlement: Settlement
    attempt: Attempt


class Steps:
    """What an attempt writes down, and when: every method returns once its transaction is committed."""

    def __init__(self, run: Run, journal: Journal, plan: StoredPlan) -> None:
        self._run = run
        self._journal = journal
        self._plan = plan

    async def standings(self, changes: Sequence[Change]) -> dict[str, Standing]:
        """Read where the records of some changes stand, by their keys."""
        records = {change.key: change.natural_key if change.action is Action.RETIRE else None for change in changes}
        return await self._journal.write(lambda connection: standings(connection, self._run.scope, records))

    async def intend(self, intent: Intent) -> Intended:
        """Write the intent down, unless the target record is linked with another one."""
        return await self._journal.join(self._intend, intent)

    async def name_target(self, change: Change, effect_id: int, right_key: str) -> str | None:
        """Note what a create made, and link it: whatever happens now, it is not created again.

        Returns the left key that the target record is linked with, if that is another; then nothing is noted.
        """
        return await self._journal.join(self._name_targets, (change, effect_id, right_key))

    async def holder(self, right_key: str) -> str | None:
        """Return the left key that a target record is linked with."""
        found = await self._journal.write(lambda connection: base.holders(connection, self._run.scope, [right_key]))
        return found.get(right_key)

    async def doubt(self, effect_id: int, error: str, quiet_seconds: float) -> None:
        """Note that a create may still be running at the peer."""
        await self._journal.write(lambda connection: effects.doubt(connection, effect_id, error, quiet_seconds))

    async def settle(self, done: Done) -> None:
        """Write down, all at once, what became of the effect, the link, the record and the change."""
        await self._journal.join(self._settle, done)

    async def stale(self, change: Change, seen: Seen | None) -> None:
        """Leave the change to the next plan, which is made from what was seen."""

        def step(connection: Connection) -> None:
            self._observe(connection, [seen] if seen else [])
            plans.mark_changes(connection, self._plan.id, [change.key], Outcome.STALE)

        await self._journal.write(step)

    async def fail(
        self, change: Change, effect_id: int | None, error: PeerError, attempt: Attempt, seen: Seen | None
    ) -> str:
        """Write a failed attempt down and decide what follows. Returns that, for the log."""

        def step(connection: Connection) -> str:
            self._observe(connection, [seen] if seen else [])
            if effect_id is not None:
                effects.fail(connection, effect_id, str(error))
            plans.mark_changes(connection, self._plan.id, [change.key], Outcome.FAILED)
            return settle.failed(connection, self._run, change, error, attempt, plan_hash=self._plan.hash)

        return await self._journal.write(step)

    def _intend(self, connection: Connection, intents: list[Intent]) -> list[Intended]:
        scope = self._run.scope
        targets = [intent.target for intent in intents if intent.target is not None]
        holders = base.holders(connection, scope, targets) if targets else {}
        taken = {
            intent.change.key: holder
            for intent in intents
            if intent.target is not None and (holder := holders.get(intent.target)) not in (None, intent.change.key)
        }
        free = [intent for intent in intents if intent.change.key not in taken]
        if not free:
            return [Intended(None, taken[intent.change.key]) for intent in intents]
        ids = effects.intend_all(
            connection,
            scope,
            [(intent.change, intent.attempt) for intent in free],
            plan_id=self._plan.id,
            run_id=self._run.run_id,
            besides=self._observing([intent.seen.record for intent in free if intent.seen and intent.seen.record]),
        )
        return [Intended(ids.get(intent.change.key), taken.get(intent.change.key)) for intent in intents]

    def _name_targets(self, connection: Connection, made: list[tuple[Change, int, str]]) -> list[str | None]:
        scope = self._run.scope
        holders = base.holders(connection, scope, [right_key for _, _, right_key in made])
        taken = [holders.setdefault(right_key, change.key) != change.key for change, _, right_key in made]
        free = [one for one, is_taken in zip(made, taken, strict=True) if not is_taken]
        effects.name_targets(connection, [(effect_id, right_key) for _, effect_id, right_key in free])
        links = [
            NewLink(change.key, right_key, change.natural_key, {}, {}, linked_by="create", agreed=False)
            for change, _, right_key in free
        ]
        base.put_links(connection, scope, links)
        return [holders[right_key] if is_taken else None for (*_, right_key), is_taken in zip(made, taken, strict=True)]

    def _settle(self, connection: Connection, done: list[Done]) -> list[None]:
        run = self._run
        keys, ids = [one.attempt.key for one in done], [one.effect_id for one in done]
        interrupted = effects.resolve(connection, run.scope, keys, but=ids)
        attempts = [settle.named(one.attempt, interrupted) for one in done]
        execute(
            connection,
            *self._observing([one.observed for one in done]),
            effects.settling([(one.effect_id, one.observed.key) for one in done]),
            *settle.settling(connection, run.scope, [one.settlement for one in done]),
            plans.marking(self._plan.id, keys, Outcome.APPLIED),
            *ledger.succeeding(connection, run, attempts),
        )
        return [None] * len(done)

    def _observing(self, records: Sequence[Record]) -> list[Part]:
        """Keep the newest observations, so that the next plan is made from them."""
        return [putting(self._run.scope, "right", records, self._plan.right_snapshot)] if records else []

    def _observe(self, connection: Connection, seen: Sequence[Seen]) -> None:
        """Keep the newest observations, so that the next plan is made from them."""
        scope, snapshot_id = self._run.scope, self._plan.right_snapshot
        put_records(connection, scope, "right", [one.record for one in seen if one.record is not None], snapshot_id)
        drop_records(connection, scope, "right", [one.right_key for one in seen if one.record is None])
