"""Cycles of the marketplaces: asked for once, one at a time, and followed to the end of their run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text


class Source(StrEnum):
    """Who asked for a cycle."""

    SCHEDULER = "scheduler"
    INTERVAL = "interval"
    REQUEST = "request"
    DAGSTER = "dagster"


class CycleStatus(StrEnum):
    """Where a cycle stands."""

    ACCEPTED = "accepted"
    LAUNCHED = "launched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUSED = "refused"


class Verdict(StrEnum):
    """What became of the wish for a cycle."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    OVERLAPS = "overlaps"


Key = tuple[Source, str, datetime]
"""Who asked, the job, and the time of its schedule."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. Names of connections have no characters that mean anything to PostgreSQL.

    Attributes:
        schedule_time: with ``job`` what makes a second wish a repetition; ``None``: it is none.
        connections: the only ones to be pulled; empty: all.
        address: of the client; for the audit log alone.
    """

    source: Source
    by: str
    job: str = ""
    schedule_time: datetime | None = None
    connections: tuple[str, ...] = ()
    address: str = ""

    @property
    def key(self) -> Key | None:
        """What makes a second wish a repetition of this one."""
        return None if self.schedule_time is None else (self.source, self.job, self.schedule_time)


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle as it stands.

    Attributes:
        run_id: of its Dagster run, once there is one.
        reason: why it was refused, failed, or does not start yet.
        attempts: how often starting its run was tried.
        result: what it came to for the connections, in the words of the routes; ``None`` until then.
    """

    cycle_id: str
    source: Source
    job: str
    schedule_time: datetime | None
    connections: tuple[str, ...]
    by: str
    status: CycleStatus
    run_id: str | None
    reason: str | None
    attempts: int
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    result: Mapping[str, Any] | None

    @property
    def key(self) -> Key | None:
        """That of the wishes that it answers."""
        return None if self.schedule_time is None else (self.source, self.job, self.schedule_time)


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a wish, and the cycle that it is about: its own, the earlier one, or the one under way."""

    verdict: Verdict
    cycle: Cycle


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sync.sync_cycle', 0))"
_COLUMNS = (
    "cycle_id, source, job_name, schedule_time, connections, requested_by, status, run_id, reason, attempts, "
    "requested_at, started_at, ended_at, (SELECT m.result FROM sync.marketplace_cycle m "
    "WHERE m.run_id = sync_cycle.run_id ORDER BY m.id DESC LIMIT 1) AS result"
)
_IS_ACTIVE = "status IN ('accepted', 'launched')"


def admit(connection: Connection, wishes: Sequence[Wish]) -> list[Admission]:
    """Answer wishes in order, within the current transaction.

    Whoever asks waits until the transaction of the one before is over. A scheduled wish that overlaps is noted, so that
    its repetition gets the same answer. A hundred wishes take as many statements as two.
    """
    connection.execute(text(_LOCK))
    known = _known(connection, [key for wish in wishes if (key := wish.key) is not None])
    under_way = next(iter(active(connection)), None)
    first: Wish | None = None
    refused: dict[Key, Wish] = {}
    for wish in wishes:
        if wish.key in known:
            continue
        if under_way is None:
            first = wish
            (under_way,) = _insert(connection, [wish], CycleStatus.ACCEPTED, None)
            if wish.key is not None:
                known[wish.key] = under_way
        elif wish.key is not None:
            refused.setdefault(wish.key, wish)
    if under_way is not None and refused:
        reason = f"{under_way.cycle_id} was under way"
        noted = _insert(connection, list(refused.values()), CycleStatus.REFUSED, reason)
        known |= {cycle.key: cycle for cycle in noted if cycle.key is not None}
    return [_answer(wish, first, known, under_way) for wish in wishes]


def _answer(wish: Wish, first: Wish | None, known: Mapping[Key, Cycle], under_way: Cycle | None) -> Admission:
    earlier = under_way if wish.key is None else known[wish.key]
    assert earlier is not None
    if wish is first:
        return Admission(Verdict.ACCEPTED, earlier)
    overlaps = wish.key is None or earlier.status is CycleStatus.REFUSED
    return Admission(Verdict.OVERLAPS if overlaps else Verdict.REPEATED, earlier)


def _known(connection: Connection, keys: Sequence[Key]) -> dict[Key, Cycle]:
    if not keys:
        return {}
    query = text(
        f"SELECT {_COLUMNS} FROM sync.sync_cycle WHERE (source, job_name, schedule_time) IN (SELECT * FROM unnest("
        "CAST(:sources AS text[]), CAST(:jobs AS text[]), CAST(:times AS timestamptz[])))"
    )
    found = map(_cycle, connection.execute(query, _columns(keys)))
    return {cycle.key: cycle for cycle in found if cycle.key is not None}


def _columns(keys: Sequence[tuple[Source, str, datetime | None]]) -> dict[str, list[Any]]:
    return {
        "sources": [str(source) for source, _, _ in keys],
        "jobs": [job for _, job, _ in keys],
        "times": [time for _, _, time in keys],
    }


def _insert(connection: Connection, wishes: Sequence[Wish], status: CycleStatus, reason: str | None) -> list[Cycle]:
    rows = connection.execute(
        text(
            "INSERT INTO sync.sync_cycle (source, job_name, schedule_time, connections, requested_by, status, reason, "
            "ended_at) SELECT source, job, time, CAST(connections AS text[]), requested_by, :status, :reason, "
            "CASE WHEN :status = 'refused' THEN clock_timestamp() END "
            "FROM unnest(CAST(:sources AS text[]), CAST(:jobs AS text[]), CAST(:times AS timestamptz[]), "
            "CAST(:connections AS text[]), CAST(:by AS text[])) AS w(source, job, time, connections, requested_by) "
            f"RETURNING {_COLUMNS}"
        ),
        {
            **_columns([(wish.source, wish.job, wish.schedule_time) for wish in wishes]),
            # As the text of an array: the arrays of several wishes differ in length.
            "connections": ["{" + ",".join(wish.connections) + "}" for wish in wishes],
            "by": [storable_text(wish.by) for wish in wishes],
            "status": status,
            "reason": reason,
        },
    )
    return [_cycle(row) for row in rows]


def active(connection: Connection) -> list[Cycle]:
    """Return what is under way, oldest first; more than one only where Dagster was asked directly."""
    query = text(f"SELECT {_COLUMNS} FROM sync.sync_cycle WHERE {_IS_ACTIVE} ORDER BY id")
    return [_cycle(row) for row in connection.execute(query)]


def find(connection: Connection, cycle_id: str) -> Cycle | None:
    """Return a cycle, ``None`` when there is none of that id."""
    query = text(f"SELECT {_COLUMNS} FROM sync.sync_cycle WHERE cycle_id = :cycle_id")
    return next(map(_cycle, connection.execute(query, {"cycle_id": cycle_id})), None)


def latest(connection: Connection, limit: int) -> list[Cycle]:
    """Return the cycles that were asked for last, newest first."""
    query = text(f"SELECT {_COLUMNS} FROM sync.sync_cycle ORDER BY id DESC LIMIT :limit")
    return [_cycle(row) for row in connection.execute(query, {"limit": limit})]


def last_success(connection: Connection) -> datetime | None:
    """Return when the last cycle that succeeded ended."""
    query = text("SELECT max(ended_at) FROM sync.sync_cycle WHERE status = 'succeeded'")
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def due(connection: Connection) -> Cycle | None:
    """Return the cycle whose run is to be started now."""
    query = text(
        f"SELECT {_COLUMNS} FROM sync.sync_cycle WHERE status = 'accepted' "
        "AND (next_attempt IS NULL OR next_attempt <= clock_timestamp())"
    )
    return next(map(_cycle, connection.execute(query)), None)


def attempting(connection: Connection, cycle_id: str) -> None:
    """Note that the run of a cycle is about to be started: should its outcome be lost, it is looked for first."""
    connection.execute(
        text("UPDATE sync.sync_cycle SET attempts = attempts + 1 WHERE cycle_id = :cycle_id AND status = 'accepted'"),
        {"cycle_id": cycle_id},
    )


def postpone(connection: Connection, cycle_id: str, reason: str, pause: timedelta) -> None:
    """Note that a run could not be started, and when to try again."""
    connection.execute(
        text(
            "UPDATE sync.sync_cycle SET reason = :reason, next_attempt = clock_timestamp() + :pause "
            "WHERE cycle_id = :cycle_id AND status = 'accepted'"
        ),
        {"cycle_id": cycle_id, "reason": storable_text(reason), "pause": pause},
    )


def launched(connection: Connection, cycle_id: str, run_id: str) -> None:
    """Note the run of a cycle."""
    connection.execute(
        text(
            "UPDATE sync.sync_cycle SET status = 'launched', run_id = :run_id, reason = NULL, "
            "started_at = coalesce(started_at, clock_timestamp()) WHERE cycle_id = :cycle_id AND status = 'accepted'"
        ),
        {"cycle_id": cycle_id, "run_id": run_id},
    )


def ended(
    connection: Connection, cycle_id: str, status: CycleStatus, reason: str | None, at: datetime | None = None
) -> None:
    """Note how a cycle ended; what has ended stays as it is."""
    connection.execute(
        text(
            "UPDATE sync.sync_cycle SET status = :status, reason = :reason, "
            f"ended_at = coalesce(:at, clock_timestamp()) WHERE cycle_id = :cycle_id AND {_IS_ACTIVE}"
        ),
        {
            "cycle_id": cycle_id,
            "status": status,
            "reason": None if reason is None else storable_text(reason),
            "at": at,
        },
    )


def adopt(connection: Connection, run_id: str, started_at: datetime | None) -> Cycle | None:
    """Take up a run that Dagster started by itself; ``None`` when it is known."""
    query = text(
        "INSERT INTO sync.sync_cycle (source, requested_by, status, run_id, started_at) "
        "VALUES ('dagster', 'dagster', 'launched', :run_id, coalesce(:at, clock_timestamp())) "
        f"ON CONFLICT (run_id) DO NOTHING RETURNING {_COLUMNS}"
    )
    return next(map(_cycle, connection.execute(query, {"run_id": run_id, "at": started_at})), None)


@dataclass(frozen=True, slots=True)
class Interval:
    """Whether and how often the service starts cycles by itself."""

    is_on: bool
    minutes: int
    on_since: datetime


def interval(connection: Connection) -> Interval:
    """Return the interval as it is set."""
    row = connection.execute(text("SELECT is_on, minutes, on_since FROM sync.sync_interval")).one()
    return Interval(row.is_on, row.minutes, row.on_since)


def set_interval(connection: Connection, *, is_on: bool | None = None, minutes: int | None = None, by: str) -> Interval:
    """Change the interval; what is ``None`` stays. It begins anew with every change."""
    connection.execute(
        text(
            "UPDATE sync.sync_interval SET is_on = coalesce(:is_on, is_on), minutes = coalesce(:minutes, minutes), "
            "on_since = clock_timestamp(), changed_by = :by"
        ),
        {"is_on": is_on, "minutes": minutes, "by": storable_text(by)},
    )
    return interval(connection)


def _cycle(row: Row[Any]) -> Cycle:
    return Cycle(
        row.cycle_id,
        Source(row.source),
        row.job_name,
        row.schedule_time,
        tuple(row.connections),
        row.requested_by,
        CycleStatus(row.status),
        row.run_id,
        row.reason,
        row.attempts,
        row.requested_at,
        row.started_at,
        row.ended_at,
        row.result,
    )
