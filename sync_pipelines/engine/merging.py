"""The merge of a two-way run: from what both systems show to merged records and conflicts. It calls nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from psycopg.errors import SerializationFailure
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.merge_record import Batch, Judge, Merges
from sync_pipelines.engine.recovery import settle_found
from sync_pipelines.engine.settle import recover
from sync_pipelines.store import base, conflicts, leases, merged_records, snapshots
from sync_pipelines.store.conflicts import Found
from sync_pipelines.store.merged_records import Scopes, Unclear

if TYPE_CHECKING:
    from sync_pipelines.engine.two_way import TwoWayPair

T = TypeVar("T")
BATCH = 1000
"""Records merged in one transaction."""
MANY = 1000
"""New records from which on the planner is told of them."""
TRIES = 5
"""Of a transaction that another one got in the way of."""


def merge(pair: TwoWayPair, scopes: Scopes, runs: Mapping[Side, Run]) -> Merges:
    """Merge what moved in either system since the last merge.

    Every batch is one serializable transaction of our own tables, so that a kill costs at most the batch in hand.
    Merging again what was merged changes nothing.

    Raises:
        LeaseLost: another run took over.
    """
    started, log = time.monotonic(), runs[Side.LEFT].log
    merging = _Merging(pair, scopes, runs)
    merging.recover()
    merging.identify()
    merging.merge_moved()
    if merging.identify():
        # Natural keys that records gave up in this very merge.
        merging.merge_moved()
    merging.end()
    merges = merging.merges
    log.info(
        "%s: merged in %.1f s: %d looked at, %d new, %d changed; %d conflicts stand, %d are over",
        pair.full_name,
        time.monotonic() - started,
        merges.looked_at,
        merges.new,
        merges.changed,
        merges.conflicts.total(),
        merges.closed,
    )
    return merges


class _Merging:
    """One merge of everything that moved."""

    def __init__(self, pair: TwoWayPair, scopes: Scopes, runs: Mapping[Side, Run]) -> None:
        self.merges = Merges()
        self._pair = pair
        self._scopes = scopes
        self._runs = runs
        self._sealed: frozenset[Side] = frozenset()
        self._done: set[str] = set()

    def recover(self) -> None:
        """Find out what became of the writes of killed runs: what they made must not be taken for somebody's word."""

        def step(connection: Connection) -> frozenset[Side]:
            sealed = set()
            for side, run in self._runs.items():
                recover(connection, run)
                newest = snapshots.latest_snapshot(connection, run.scope, "right", full=True)
                if newest is not None:
                    settle_found(connection, run, newest, None)
                    sealed |= {side} if newest.sealed else set()
            return frozenset(sealed)

        self._sealed = self._serializable(step)

    def identify(self) -> bool:
        """Find out which records belong together. Returns whether any were found to."""

        def step(connection: Connection) -> tuple[int, int]:
            merged_records.plan_for(connection, everything=True)
            merged_records.take_keys(connection, self._scopes)
            for side in self._sealed:
                merged_records.succeed(connection, self._scopes, side)
            return merged_records.identify(connection, self._scopes)

        attached, new = self._serializable(step)
        self.merges.new += new
        if new >= MANY:
            self._take_statistics()
        return bool(attached or new)

    def merge_moved(self) -> None:
        """Merge what moved, batch by batch."""

        def step(connection: Connection) -> list[str]:
            merged_records.plan_for(connection, everything=True)
            return [key for key in merged_records.moved(connection, self._scopes) if key not in self._done]

        moved = self._serializable(step)
        for start in range(0, len(moved), BATCH):
            self.merges.add(self._serializable(partial(self._merge, keys=moved[start : start + BATCH])))
        self._done.update(moved)

    def end(self) -> None:
        """Tell of natural keys that are not clear, and let both systems' reconciles know what stands for what."""

        def step(connection: Connection) -> tuple[int, int]:
            merged_records.plan_for(connection, everything=True)
            unclear = merged_records.unclear(connection, self._scopes)
            found = [self._double(one) for one in unclear]
            self._note(connection, found)
            doubles = {
                one.natural_key: reason.reason for one, reason in zip(unclear, found, strict=True) if one.is_double
            }
            merged_records.hold_doubles(connection, self._scopes, doubles)
            clear = conflicts.open_records(connection, self._scopes.pair, Kind.DUPLICATE_KEY)
            clear -= {one.record for one in found}
            closed = conflicts.close(connection, self._scopes.pair, clear, "its key is clear again")
            merged_records.give_links(connection, self._scopes)
            return len(found), closed

        found, closed = self._serializable(step)
        self.merges.conflicts[Kind.DUPLICATE_KEY] += found
        self.merges.closed += closed
        if self.merges.new >= MANY:
            self._take_statistics()

    def _take_statistics(self) -> None:
        with self._runs[Side.LEFT].engine.begin() as connection:
            merged_records.take_statistics(connection)

    def _merge(self, connection: Connection, keys: Sequence[str]) -> Merges:
        merged_records.plan_for(connection, everything=False)
        settled = conflicts.settled(connection, self._scopes.pair, keys)
        judge = Judge(self._pair, self._sealed, Batch(), Merges(looked_at=len(keys)))
        for row in merged_records.rows(connection, self._scopes, keys):
            judge.decide(row, settled.get(row.key, ()))
        batch, merges = judge.batch, judge.merges
        merged_records.update(connection, self._scopes, batch.updates)
        merged_records.drop(connection, self._scopes, batch.dropped)
        for side in Side:
            base.drop_links(connection, self._scopes.of(side), [key for lost, key in batch.unlinked if lost is side])
        self._note(connection, batch.found)
        merges.conflicts.update(one.kind for one in batch.found)
        merges.closed = self._close(connection, batch)
        return merges

    def _close(self, connection: Connection, batch: Batch) -> int:
        scope, closed = self._scopes.pair, 0
        for because, keys in batch.over.items():
            closed += conflicts.close(connection, scope, keys, because)
        for because, keys in batch.apart.items():
            closed += conflicts.close(connection, scope, keys, because, keep_settled=True)
        for kind in (Kind.DATA_MISMATCH, Kind.MANUAL_REVIEW):
            # What a record was told before it came to this; one that cannot be mapped may still be both.
            others = [other for other in Kind if other is not kind]
            keys = [one.record for one in batch.found if one.kind is kind]
            closed += conflicts.close(connection, scope, keys, f"it is {kind} now", kinds=others)
        return closed

    def _double(self, one: Unclear) -> Found:
        claims = [
            f"{len(keys)} in {self._pair.peer(side)} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
            for side, keys in ((Side.LEFT, one.left_keys), (Side.RIGHT, one.right_keys))
            if keys
        ]
        reason = f"claimed by more than one record: {' and '.join(claims)}"
        return Found(one.natural_key, one.natural_key, Kind.DUPLICATE_KEY, reason)

    def _note(self, connection: Connection, found: Sequence[Found]) -> None:
        conflicts.note(connection, self._scopes.pair, self._pair.org, self._pair.entity, found)

    def _serializable(self, step: Callable[[Connection], T]) -> T:
        """Carry out a step in a transaction of its own, once more where another transaction got in the way."""
        plain = self._runs[Side.LEFT].engine
        for attempt in range(1, TRIES + 1):
            try:
                with plain.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
                    result = step(connection)
                    # The leases are held by another transaction until the commit is done: they are renewed while the
                    # step goes on, and what was written since it began cannot be locked in a serializable one.
                    with plain.begin() as holding:
                        for run in self._runs.values():
                            leases.fence(holding, run.lease)
                        connection.commit()
                    return result
            except OperationalError as error:
                if not isinstance(error.orig, SerializationFailure) or attempt == TRIES:
                    raise
        raise AssertionError("unreachable")
