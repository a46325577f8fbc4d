"""Snapshots: the newest observation of each side, loaded by COPY and merged set by set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import psycopg
from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.canonical import canonical_json, fingerprint
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Previous, Seal, Sweep, judge_sweep
from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement

Side = Literal["left", "right"]

_COPY = (
    "COPY snapshot_stage (key, natural_key, fingerprint, detail, content, meta, withheld, invalid) FROM STDIN "
    "WITH (FORMAT binary)"
)
_COLUMN_TYPES = ("text", "text", "bytea", "bytea", "text", "text", "text", "text")
_NO_DETAIL = b""
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ANALYZE_FROM = 1000
"""Moved rows from which the planner's statistics are renewed at once: on stale ones the diff of a freshly filled
table becomes a nested loop over everything."""


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
    without ``finish`` changes nothing.
    """

    def __init__(self, connection: Connection, scope: Scope, side: Side) -> None:
        self._connection = connection
        self._scope = scope
        self._side = side
        connection.execute(text(statement("snapshot_stage")))
        connection.execute(text("TRUNCATE snapshot_stage"))
        connection.commit()

    def add(self, records: Iterable[Record]) -> None:
        """Stage records by COPY."""
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(_COLUMN_TYPES)
            for record in records:
                copy.write_row(_row(record))
        # Each batch is committed (by the driver: SQLAlchemy saw no transaction begin): while the next page travels,
        # none is held open.
        driver.commit()

    def finish(
        self, sweep: Sweep, *, run_id: str, keys: Sequence[str] | None = None, lease: Lease | None = None
    ) -> Snapshot:
        """Judge the pass, merge what was staged, and record the snapshot.

        Records that were not seen are removed only when every row was read. With ``keys`` (natural keys of a
        selective pass) only those are concerned.

        Raises:
            LeaseLost: ``lease`` is not ours any more: a newer run's observations must not be overwritten.
        """
        with self._connection.begin():
            duplicates = self._drop_duplicates()
            self._connection.execute(text("ANALYZE snapshot_stage"))
            if keys is None:
                # Statistics of a table that this very transaction fills are always behind: a nested loop over two full
                # sets looks cheap to the planner, and takes minutes.
                self._connection.execute(text("SET LOCAL enable_nestloop = off"))
            records = self._scalar("SELECT count(*) FROM snapshot_stage")
            previous = self._previous() if keys is None else None
            seal = judge_sweep(sweep, records=records, duplicates=duplicates, previous=previous)
            snapshot_id = self._insert(sweep, seal, records, run_id, selective=keys is not None)
            moved = self._connection.execute(
                text(statement("snapshot_merge")),
                {"scope_id": self._scope.id, "side": self._side, "snapshot_id": snapshot_id},
            ).one()
            removed = self._remove_unseen(keys) if seal.complete else 0
            self._connection.execute(
                text("UPDATE sync.snapshot SET added = :a, changed = :c, removed = :r WHERE id = :id"),
                {"a": moved.added, "c": moved.changed, "r": removed, "id": snapshot_id},
            )
            snapshot = read_snapshot(self._connection, snapshot_id)
            if lease is not None:
                leases.fence(self._connection, lease)
        if moved.added + moved.changed >= _ANALYZE_FROM:
            with self._connection.begin():
                self._connection.execute(text("ANALYZE sync.record"))
        return snapshot

    def _drop_duplicates(self) -> int:
        rows, keys = self._connection.execute(text("SELECT count(*), count(DISTINCT key) FROM snapshot_stage")).one()
        if rows != keys:
            self._connection.execute(
                text("DELETE FROM snapshot_stage a USING snapshot_stage b WHERE a.key = b.key AND a.ord < b.ord")
            )
        return int(rows - keys)

    def _previous(self) -> Previous | None:
        # What was created since the last pass is on the right as well: an empty listing after a first run of creates is
        # no less strange than any other.
        row = self._connection.execute(
            text(
                "SELECT identity, greatest(records, CASE WHEN side = 'right' THEN (SELECT count(*) FROM sync.base b "
                "WHERE b.scope_id = s.scope_id AND b.retired_at IS NULL) END) AS records "
                "FROM sync.snapshot s WHERE scope_id = :scope_id AND side = :side "
                "AND NOT selective AND sealed_at IS NOT NULL ORDER BY id DESC LIMIT 1"
            ),
            {"scope_id": self._scope.id, "side": self._side},
        ).one_or_none()
        return None if row is None else Previous(row.identity, row.records)

    def _insert(self, sweep: Sweep, seal: Seal, records: int, run_id: str, *, selective: bool) -> int:
        return self._scalar(
            "INSERT INTO sync.snapshot (scope_id, side, selective, run_id, started_at, sealed_at, records, declared, "
            "ignored, identity, position, complete, unsealed, notes) VALUES (:scope_id, :side, :selective, :run_id, "
            "now(), CASE WHEN :sealed THEN now() END, :records, :declared, :ignored, :identity, "
            "CAST(:position AS jsonb), :complete, :unsealed, :notes) RETURNING id",
            scope_id=self._scope.id,
            side=self._side,
            selective=selective,
            run_id=run_id,
            sealed=seal.sealed,
            records=records,
            declared=sweep.declared,
            ignored=sweep.ignored,
            identity=sweep.identity,
            position=canonical_json(sweep.position),
            complete=seal.complete,
            unsealed=list(seal.reasons),
            notes=list(sweep.notes),
        )

    def _remove_unseen(self, keys: Sequence[str] | None) -> int:
        return self._connection.execute(
            text(
                "DELETE FROM sync.record r WHERE r.scope_id = :scope_id AND r.side = :side "
                "AND (CAST(:keys AS text[]) IS NULL OR r.natural_key = ANY (CAST(:keys AS text[]))) "
                "AND NOT EXISTS (SELECT FROM snapshot_stage s WHERE s.key = r.key)"
            ),
            {"scope_id": self._scope.id, "side": self._side, "keys": None if keys is None else list(keys)},
        ).rowcount

    def _scalar(self, sql: str, **parameters: Any) -> int:
        return int(self._connection.execute(text(sql), parameters).scalar_one())


@contextmanager
def loading(engine: Engine, scope: Scope, side: Side) -> Iterator[SnapshotLoader]:
    """Open a loader on a connection of its own."""
    with engine.connect() as connection:
        yield SnapshotLoader(connection, scope, side)


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


def put_record(connection: Connection, scope: Scope, side: Side, record: Record, snapshot_id: int) -> None:
    """Store one fresh observation, e.g. what was read back after a write."""
    connection.execute(
        text(
            "INSERT INTO sync.record (scope_id, side, key, natural_key, fingerprint, detail, content, meta, withheld, "
            "invalid, snapshot_id) VALUES (:scope_id, :side, :key, :natural_key, :fingerprint, :detail, "
            "CAST(:content AS jsonb), CAST(:meta AS jsonb), :withheld, :invalid, :snapshot_id) "
            "ON CONFLICT (scope_id, side, key) DO UPDATE SET natural_key = EXCLUDED.natural_key, "
            "fingerprint = EXCLUDED.fingerprint, detail = EXCLUDED.detail, content = EXCLUDED.content, "
            "meta = EXCLUDED.meta, withheld = EXCLUDED.withheld, invalid = EXCLUDED.invalid, changed_at = now()"
        ),
        {
            "scope_id": scope.id,
            "side": side,
            "snapshot_id": snapshot_id,
            **dict(zip(_COLUMNS, _row(record), strict=True)),
        },
    )


def drop_record(connection: Connection, scope: Scope, side: Side, key: str) -> None:
    """Forget an observation: the peer says that the record is gone."""
    connection.execute(
        text("DELETE FROM sync.record WHERE scope_id = :scope_id AND side = :side AND key = :key"),
        {"scope_id": scope.id, "side": side, "key": key},
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


_COLUMNS = ("key", "natural_key", "fingerprint", "detail", "content", "meta", "withheld", "invalid")


def storable(record: Record) -> Record:
    """Return the record, or an invalid one in its place when PostgreSQL cannot hold what it says.

    One broken record of a peer must not stop the others.
    """
    return _storable(record)[0]


def storable_text(value: str) -> str:
    """Return a text without what PostgreSQL's ``text`` and ``jsonb`` cannot hold."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _row(record: Record) -> tuple[str, str, bytes, bytes, str, str, str | None, str | None]:
    record, content, meta = _storable(record)
    # Most records of a source are plain; hashing nothing for them is measurable on a large snapshot.
    plain = record.natural_key == record.key and not record.meta and record.withheld is None and record.invalid is None
    return (
        record.key,
        record.natural_key,
        fingerprint(record.content),
        _NO_DETAIL if plain else _detail(record.natural_key, meta, record.withheld, record.invalid),
        content,
        meta,
        record.withheld,
        record.invalid,
    )


def _storable(record: Record) -> tuple[Record, str, str]:
    """Return the record with the canonical JSON of its content and its meta."""
    try:
        content, meta = canonical_json(record.content), canonical_json(record.meta)
        why = _unstorable(record.key, record.natural_key) or _unstorable_json(content, meta)
    except ValueError as error:
        why = str(error)
    withheld = None if record.withheld is None else storable_text(record.withheld)
    if why is None:
        invalid = None if record.invalid is None else storable_text(record.invalid)
        if (withheld, invalid) != (record.withheld, record.invalid):
            record = replace(record, withheld=withheld, invalid=invalid)
        return record, content, meta
    key, natural_key = storable_text(record.key), storable_text(record.natural_key)
    return Record(key, natural_key, {}, withheld=withheld, invalid=why), "{}", "{}"


def _detail(natural_key: str, meta: str, withheld: str | None, invalid: str | None) -> bytes:
    digest = hashlib.blake2b(canonical_json([natural_key, withheld, invalid]).encode(), digest_size=8)
    digest.update(meta.encode())
    return digest.digest()


def _unstorable(*texts: str) -> str | None:
    """PostgreSQL's text and jsonb hold neither NUL nor half a surrogate pair; both come from broken peers."""
    for value in texts:
        if "\x00" in value:
            return "the record contains a NUL character"
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "the record contains half of a surrogate pair"
    return None


def _unstorable_json(*documents: str) -> str | None:
    for document in documents:
        # An escaped backslash before "u0000" is harmless text about NUL.
        if "\\u0000" in document and _ESCAPED_NUL.search(document):
            return "the record contains a NUL character"
    return _unstorable(*documents)
