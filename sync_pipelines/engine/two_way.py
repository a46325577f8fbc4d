"""Two-way pairs: two systems that both may be edited, and the merged records between them.

A run reads both systems, merges what moved, and then brings either system to what is merged by an ordinary one-way
reconcile. Whatever the engine promises of that (intents, lost replies, the look before a write, fencing, dead letters,
the guard) holds for each direction as it is; only the merge is new, and it calls nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.core.trees import same_field
from sync_pipelines.core.two_way import Alike, Rule, Side
from sync_pipelines.engine.apply import Applied, apply
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import Run, working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines.engine.merge_record import Merges
from sync_pipelines.engine.merging import merge
from sync_pipelines.engine.pace import Pace
from sync_pipelines.engine.ports import Pair, Target, retired_for_all_we_know
from sync_pipelines.engine.reconcile import refuse_incomplete
from sync_pipelines.engine.tasks import in_thread, together
from sync_pipelines.store import merged_records, snapshots
from sync_pipelines.store.merged_records import Scopes
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import Scope, ensure_scope

MERGED = "merged"
"""What stands for the merged records where a peer is named."""


@dataclass(frozen=True)
class TwoWayPair:
    """Two systems that are kept in agreement both ways, and the policies between them.

    Attributes:
        name: pair of systems, e.g. ``"commerce"``.
        scope: the connection and what of it, e.g. ``"nordlys.products"``.
        entity: what the records are, e.g. ``"products"``.
        org: organization whose people may see and settle the conflicts.
        left, right: the two systems.
        peers: their names, left and right.
        rules: field -> who decides; a field without a rule is left to a person.
        natural_key: what identifies merged content on both sides.
        alike: ``(field, wanted, shown) -> bool``.
        creates: systems in which records may be created; others are only told about what they lack.
        follows: whether what is deleted in one system is retired in the other.
        policies: system -> policies of :class:`Pair` for what is written to it.
    """

    name: str
    scope: str
    entity: str
    org: str
    left: Target
    right: Target
    peers: tuple[str, str]
    rules: Mapping[str, Rule]
    natural_key: Callable[[Content], str]
    alike: Alike = same_field
    creates: frozenset[Side] = frozenset(Side)
    follows: bool = True
    policies: Mapping[Side, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Name for messages, e.g. ``commerce/nordlys.products``."""
        return f"{self.name}/{self.scope}"

    def peer(self, side: Side) -> str:
        """Name of a system."""
        return self.peers[0 if side is Side.LEFT else 1]

    def follows_in(self, side: Side) -> bool:
        """Say whether a record is retired in a system once it is deleted across."""
        return bool(self.policies.get(side, {}).get("retires", self.follows))

    def lenient_in(self, side: Side) -> frozenset[str]:
        """Return the fields that a system may show otherwise than it was told."""
        return frozenset(self.policies.get(side, {}).get("lenient_fields", ()))

    def shows_retired(self, side: Side, content: Content) -> bool:
        """Say whether a system shows a record as retired."""
        retired: Callable[[Content], bool] = self.policies.get(side, {}).get("retired", retired_for_all_we_know)
        return retired(content)

    def one_way(self, side: Side, engine: Engine) -> Pair:
        """Return the pair in which the merged records are the source, and a system is the target."""
        return Pair(
            name=f"{self.name}_{self.peer(side)}",
            scope=self.scope,
            left=MergedSource(engine, self, side),
            right=self.left if side is Side.LEFT else self.right,
            peers=(MERGED, self.peer(side)),
            minds_misplaced=False,
            **{"alike": self.alike, "retires": self.follows, **self.policies.get(side, {})},
        )


@dataclass(frozen=True, slots=True)
class MergedSource:
    """The merged records as the source of one system."""

    engine: Engine
    pair: TwoWayPair
    side: Side

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every merged record that the system is to have."""
        sweep.identity = MERGED
        sweep.position, sweep.declared = await in_thread(self._begin)
        after = ""
        while rows := await in_thread(self._page, after):
            sweep.seen += len(rows)
            after = rows[-1].key
            yield rows

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the merged records with these natural keys."""
        wanted = set(natural_keys)
        async for page in self.sweep(sweep):
            yield [record for record in page if record.natural_key in wanted]

    def position(self, connection: Connection) -> dict[str, object]:
        """Return what tells whether a system has to be shown the merged records again."""
        creates = "".join(sorted(self.pair.creates))
        return {"revision": merged_records.revision(connection, self._scope(connection)), "creates": creates}

    def _begin(self) -> tuple[dict[str, object], int]:
        with self.engine.begin() as connection:
            return self.position(connection), merged_records.count(connection, self._scope(connection))

    def _page(self, after: str) -> list[Record]:
        with self.engine.begin() as connection:
            rows = merged_records.page(connection, self._scope(connection), self.side, after=after)
        return [Record(row.key, row.natural_key, row.content, withheld=self._withheld(row)) for row in rows]

    def _scope(self, connection: Connection) -> Scope:
        return ensure_scope(connection, self.pair.name, self.pair.scope)

    def _withheld(self, row: Any) -> str | None:
        if row.withheld is not None:
            return str(row.withheld)
        if not row.there and self.side not in self.pair.creates:
            return f"not in {self.pair.peer(self.side)}, where this connection creates no {self.pair.entity}"
        return None


@dataclass(frozen=True, slots=True)
class Synchronized:
    """Result of one two-way run.

    Attributes:
        merges: what was merged, and what was found.
        plans: the plan for either system.
        applied: what became of it; a system is left out whose plan was not to be applied, or is held.
    """

    merges: Merges
    plans: Mapping[Side, StoredPlan]
    applied: Mapping[Side, Applied]
    seconds: float


async def synchronize(
    engine: Engine,
    pair: TwoWayPair,
    *,
    run_id: str,
    log: logging.Logger,
    plan_only: bool = False,
    writes_to: Collection[Side] = tuple(Side),
    pace: Pace | None = None,
    patience: float = 0.0,
) -> Synchronized:
    """Bring both systems into agreement.

    Arguments:
        plan_only: merge and plan, and write to neither system.
        writes_to: systems that are written to; what the others lack stays planned.
        pace: in which batches, and who is told of them; ``None`` for all at once.
        patience: seconds to wait for another run of the pair to end.

    Raises:
        LeaseHeld: another run works on the pair.
        PeerError: a system could not be read, or credentials are refused.
        SnapshotUnsealed: a system was read incompletely, so nothing was written.
    """
    started = time.monotonic()
    sides = {side: pair.one_way(side, engine) for side in Side}
    async with (
        working_on(engine, sides[Side.LEFT], run_id, log, patience=patience) as left,
        working_on(engine, sides[Side.RIGHT], run_id, log, patience=patience) as right,
    ):
        runs = {Side.LEFT: left, Side.RIGHT: right}
        read = await together(*(extract(run, "right") for run in runs.values()))
        scopes = await in_thread(scopes_of, engine, pair, runs)
        merges = await in_thread(merge, pair, scopes, runs)
        plans: dict[Side, StoredPlan] = {}
        applied: dict[Side, Applied] = {}
        for side, run in runs.items():
            await show_merged(run)
            plans[side] = await in_thread(compare, run)
        if not plan_only:
            for run, snapshot in zip(runs.values(), read, strict=True):
                refuse_incomplete(run.pair, [snapshot])
            for side, run in runs.items():
                if side in writes_to and plans[side].state != "held":
                    applied[side] = await apply(run, plans[side], pace)
    return Synchronized(merges, plans, applied, time.monotonic() - started)


def scopes_of(engine: Engine, pair: TwoWayPair, runs: Mapping[Side, Run]) -> Scopes:
    """Return the scopes of a pair that is worked on."""
    with engine.begin() as connection:
        own = ensure_scope(connection, pair.name, pair.scope)
    return Scopes(own, runs[Side.LEFT].scope, runs[Side.RIGHT].scope)


async def show_merged(run: Run) -> None:
    """Extract the merged records for a system, unless none of them changed since that was done last.

    Raises:
        LeaseLost: another run took over; nothing was stored.
    """
    if not await in_thread(_is_shown, run):
        await extract(run, "left")


def _is_shown(run: Run) -> bool:
    source = run.pair.left
    assert isinstance(source, MergedSource)
    with run.engine.begin() as connection:
        newest = snapshots.latest_snapshot(connection, run.scope, "left")
        return newest is not None and newest.sealed and newest.position == source.position(connection)
