"""Snapshots: the newest observation of each side, loaded by COPY and merged set by set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Previous, Seal, Sweep, judge_sweep
from sync_pipelines.store import leases
from sync_pipelines.store.first_pass import FirstPass
from sync_pipelines.store.leases import Lease
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.staging import BATCH, Staging

Side = Literal["left", "right"]

_ANALYZE_FROM = 1000
"""Moved rows from which the planner's statistics are renewed at once, when they are a tenth of all: on stale ones the
diff of a freshly filled table becomes a nested loop over everything."""
_MERGE_MEMORY = "256MB"
"""What the joins over a large pass may take in the server, so that a million keys are not sorted on disk."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stored snapshot: what was read, how it compares with the one before, and whether it is sealed."""

    id: int
    side: Side
    selective: bool
    records: int
    added: int
    changed: int
    removed: int
    ignored: int
    declared: int | None
    identity: str
    position: dict[str, Any]
    complete: bool
    unsealed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def sealed(self) -> bool:
        """True when absence from this snapshot means absence at the peer."""
        return not self.unsealed


class SnapshotLoader:
    """Stages the records of one pass, then merges them in one transaction.

    Use as ``with loading(engine, scope, side) as loader: loader.add(...); snapshot = loader.finish(sweep)``. Leaving
    without ``finish`` changes nothing, but that a very first pass may leave records that no snapshot shows yet.
    """

    def __init__(
        self, connection: Connection, scope: Scope, side: Side, *, batch: int = BATCH, lease: Lease | None = None
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._side = side
        self._lease = lease
        known, self._id = self._begin()
        self._staging: Staging | FirstPass = (
            Staging(connection, scope, side, batch)
            if known
            else FirstPass(connection, scope, side, batch, self._id, lease)
        )

    def add(self, records: Iterable[Record]) -> None:
        """Stage records."""
        self._staging.add(records)

    def stored_under(self, natural_keys: Sequence[str]) -> set[str]:
        """Return the keys of what is stored under some natural keys. Call it before anything is added."""
        with self._connection.begin():
            return set(
                self._connection.execute(
                    text(
                        "SELECT key FROM sync.record WHERE scope_id = :scope_id AND side = :side "
                        "AND natural_key = ANY (CAST(:natural_keys AS text[]))"
                    ),
                    {"scope_id": self._scope.id, "side": self._side, "natural_keys": list(natural_keys)},
                ).scalars()
            )

    def close(self) -> None:
        """Leave the connection to others."""
        self._staging.close()

    def finish(self, sweep: Sweep, *, run_id: str, keys: Sequence[str] | None = None) -> Snapshot:
        """Judge the pass, merge what was staged, and record the snapshot.

        Records that were not seen are removed only when every row was read. With ``keys`` (natural keys of a
        selective pass) only those are concerned.

        Raises:
            LeaseLost: the lease is not ours any more: a newer run's observations must not be overwritten.
        """
        self._staging.complete()
        try:
            with self._connection.begin():
                snapshot = self._merge(sweep, run_id, keys)
                self._fence()
        except (IntegrityError, UniqueViolation):
            # Somebody else added a record of ours. Most likely it was the run that has the lease now.
            with self._connection.begin():
                self._fence()
            raise
        self._tidy(snapshot)
        return snapshot

    def _begin(self) -> tuple[bool, int]:
        """Return whether anything of the side is stored, and the id of the snapshot to be."""
        with self._connection.begin():
            found = self._connection.execute(
                text(
                    "SELECT EXISTS (SELECT FROM sync.record WHERE scope_id = :scope_id AND side = :side) OR EXISTS "
                    "(SELECT FROM sync.snapshot WHERE scope_id = :scope_id AND side = :side) AS known, "
                    "nextval(pg_get_serial_sequence('sync.snapshot', 'id')) AS id"
                ),
                {"scope_id": self._scope.id, "side": self._side},
            ).one()
        return found.known, found.id

    def _fence(self) -> None:
        if self._lease is not None:
            leases.fence(self._connection, self._lease)

    def _merge(self, sweep: Sweep, run_id: str, keys: Sequence[str] | None) -> Snapshot:
        if keys is None:
            # Statistics of a table that this very transaction fills are always behind: a nested loop over two full
            # sets looks cheap to the planner, and takes minutes.
            self._connection.execute(text("SET LOCAL enable_nestloop = off"))
        if not self._staging.in_one_batch:
            self._connection.execute(text(f"SET LOCAL work_mem = '{_MERGE_MEMORY}'"))
        records = self._staging.drop_repeated()
        previous = self._previous() if keys is None else None
        seal = judge_sweep(sweep, records=records, duplicates=self._staging.read - records, previous=previous)
        self._insert(sweep, seal, records, run_id, selective=keys is not None)
        merged = self._staging.merge(self._id)
        removed = self._remove_unseen(keys) if seal.complete and self._staging.may_miss else 0
        self._connection.execute(
            text("UPDATE sync.snapshot SET added = :a, changed = :c, removed = :r WHERE id = :id"),
            {"a": merged.added, "c": merged.changed, "r": removed, "id": self._id},
        )
        return read_snapshot(self._connection, self._id)

    def _tidy(self, snapshot: Snapshot) -> None:
        moved = snapshot.added + snapshot.changed
        with self._connection.begin():
            if moved >= _ANALYZE_FROM and moved * 10 >= snapshot.records:
                # Contents are joined on nowhere; to sample them costs more than everything else.
                self._connection.execute(text("ANALYZE sync.record (scope_id, side, key, natural_key, fingerprint)"))
            self._staging.clear()

    def _previous(self) -> Previous | None:
        # What was created since the last pass is on the right as well: an empty listing after a first run of creates is
        # no less strange than any other.
        row = self._connection.execute(
            text(
                "SELECT identity, position, "
                "greatest(records, CASE WHEN side = 'right' THEN (SELECT count(*) FROM sync.base b "
                "WHERE b.scope_id = s.scope_id AND b.retired_at IS NULL) END) AS records "
                "FROM sync.snapshot s WHERE scope_id = :scope_id AND side = :side "
                "AND NOT selective AND sealed_at IS NOT NULL ORDER BY id DESC LIMIT 1"
            ),
            {"scope_id": self._scope.id, "side": self._side},
        ).one_or_none()
        return None if row is None else Previous(row.identity, row.records, row.position)

    def _insert(self, sweep: Sweep, seal: Seal, records: int, run_id: str, *, selective: bool) -> None:
        self._connection.execute(
            text(
                "INSERT INTO sync.snapshot (id, scope_id, side, selective, run_id, started_at, sealed_at, records, "
                "declared, ignored, identity, position, complete, unsealed, notes) OVERRIDING SYSTEM VALUE "
                "VALUES (:id, :scope_id, :side, :selective, :run_id, now(), CASE WHEN :sealed THEN now() END, "
                ":records, :declared, :ignored, :identity, CAST(:position AS jsonb), :complete, :unsealed, :notes)"
            ),
            {
                "id": self._id,
                "scope_id": self._scope.id,
                "side": self._side,
                "selective": selective,
                "run_id": run_id,
                "sealed": seal.sealed,
                "records": records,
                "declared": sweep.declared,
                "ignored": sweep.ignored,
                "identity": sweep.identity,
                "position": canonical_json(sweep.position),
                "complete": seal.complete,
                "unsealed": list(seal.reasons),
                "notes": list(sweep.notes),
            },
        )

    def _remove_unseen(self, keys: Sequence[str] | None) -> int:
        return self._connection.execute(
            text(
                "DELETE FROM sync.record r WHERE r.scope_id = :scope_id AND r.side = :side "
                "AND (CAST(:keys AS text[]) IS NULL OR r.natural_key = ANY (CAST(:keys AS text[]))) "
                "AND NOT EXISTS (SELECT FROM snapshot_seen s WHERE s.key = r.key)"
            ),
            {"scope_id": self._scope.id, "side": self._side, "keys": None if keys is None else list(keys)},
        ).rowcount


@contextmanager
def loading(
    engine: Engine, scope: Scope, side: Side, *, batch: int = BATCH, lease: Lease | None = None
) -> Iterator[SnapshotLoader]:
    """Open a loader on a connection of its own.

    Arguments:
        batch: records that travel together; a pass of fewer is written when it is finished.
        lease: what every transaction that stores something checks.
    """
    with engine.connect() as connection:
        loader = SnapshotLoader(connection, scope, side, batch=batch, lease=lease)
        try:
            yield loader
        finally:
            loader.close()


def read_snapshot(connection: Connection, snapshot_id: int) -> Snapshot:
    """Return a stored snapshot."""
    row = connection.execute(text("SELECT * FROM sync.snapshot WHERE id = :id"), {"id": snapshot_id}).one()
    return Snapshot(
        id=row.id,
        side=row.side,
        selective=row.selective,
        records=row.records,
        added=row.added,
        changed=row.changed,
        removed=row.removed,
        ignored=row.ignored,
        declared=row.declared,
        identity=row.identity,
        position=row.position,
        complete=row.complete,
        unsealed=tuple(row.unsealed) if row.sealed_at is None else (),
        notes=tuple(row.notes),
    )


def latest_snapshot(connection: Connection, scope: Scope, side: Side, *, full: bool = False) -> Snapshot | None:
    """Return the newest snapshot of one side, ``None`` before the first.

    Arguments:
        full: pass over selective ones: that they are complete says nothing about the whole side.
    """
    id_ = connection.execute(
        text(
            "SELECT max(id) FROM sync.snapshot WHERE scope_id = :scope_id AND side = :side "
            "AND NOT (selective AND :full)"
        ),
        {"scope_id": scope.id, "side": side, "full": full},
    ).scalar()
    return None if id_ is None else read_snapshot(connection, id_)


def seal_snapshots(connection: Connection, snapshot_ids: Sequence[int]) -> None:
    """Accept complete snapshots as they are: their plan writes nothing, or a person approved it."""
    connection.execute(
        text("UPDATE sync.snapshot SET sealed_at = now() WHERE id = ANY (:ids) AND complete AND sealed_at IS NULL"),
        {"ids": list(snapshot_ids)},
    )


def fingerprints(connection: Connection, scope: Scope, side: Side, keys: Sequence[str]) -> dict[str, bytes]:
    """Return the newest fingerprints of records, key -> digest; those that do not exist are left out.

    The digest is empty, and so equal to nothing, for a record that is withheld or invalid.
    """
    rows = connection.execute(
        text(
            "SELECT key, CASE WHEN withheld IS NULL AND invalid IS NULL THEN fingerprint ELSE CAST('' AS bytea) END "
            "AS digest FROM sync.record WHERE scope_id = :scope_id AND side = :side "
            "AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"scope_id": scope.id, "side": side, "keys": list(keys)},
    )
    return {row.key: row.digest for row in rows}
