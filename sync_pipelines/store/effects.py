"""Effects: one row per attempted write, committed before the call is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.store.plans import change_of
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, execute, statement, text


@dataclass(frozen=True, slots=True)
class Effect:
    """An attempted write."""

    id: int
    key: str
    natural_key: str
    right_key: str | None
    action: str
    state: str
    attempt: int
    run_id: str
    intended_at: datetime
    settled_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An attempted write of which nobody knew what became of it, and that is closed now."""

    key: str
    action: str
    run_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The newest attempted write of a record of which nobody knows what became of it.

    Attributes:
        change: what was to be done.
        plan_id: the plan that the change belongs to.
        planned_key: key of the record in that plan; it may have another one at the source by now.
        attempt: number of the attempt, from 1.
        quiet_over: it surely is not running at the peer any more.
        shown_key: key of the target record concerned, ``None`` when it is not to be seen, or not beyond doubt.
        shown: its content.
    """

    id: int
    change: Change
    plan_id: int
    planned_key: str
    run_id: str
    attempt: int
    quiet_over: bool
    shown_key: str | None
    shown: Content | None


_COLUMNS = ", ".join(Effect.__dataclass_fields__)


def intend_all(
    connection: Connection,
    scope: Scope,
    attempts: Sequence[tuple[Change, int]],
    *,
    plan_id: int,
    run_id: str,
    besides: Sequence[Part] = (),
) -> dict[str, int]:
    """Write down what is about to be done to several records: a change and the number of the attempt at it.

    Arguments:
        besides: statements to be executed in the same round trip.

    Returns the effects' ids by the records' keys.
    """
    intending = Part(
        "INSERT INTO sync.effect (scope_id, plan_id, key, natural_key, right_key, action, state, attempt, run_id) "
        "SELECT :scope_id, :plan_id, g.key, g.natural_key, g.right_key, g.action, 'intended', g.attempt, :run_id "
        "FROM unnest(CAST(:keys AS text[]), CAST(:natural_keys AS text[]), CAST(:right_keys AS text[]), "
        "CAST(:actions AS text[]), CAST(:attempts AS integer[])) "
        "AS g(key, natural_key, right_key, action, attempt) RETURNING key, id",
        {
            "scope_id": scope.id,
            "plan_id": plan_id,
            "run_id": run_id,
            "keys": [change.key for change, _ in attempts],
            "natural_keys": [change.natural_key for change, _ in attempts],
            # What a create makes is not known yet; a lost record that is made anew gets another key.
            "right_keys": [None if change.action is Action.CREATE else change.right_key for change, _ in attempts],
            "actions": [change.action.value for change, _ in attempts],
            "attempts": [attempt for _, attempt in attempts],
        },
    )
    return {row.key: row.id for row in execute(connection, *besides, intending)}


def naming(made: Sequence[tuple[int, str]]) -> Part:
    """Note what creates made (effect id, right key), before anything else is written to it."""
    return Part(
        "UPDATE sync.effect SET right_key = g.right_key "
        "FROM unnest(CAST(:ids AS bigint[]), CAST(:right_keys AS text[])) AS g(id, right_key) "
        "WHERE sync.effect.id = g.id",
        _columns(made),
    )


def name_targets(connection: Connection, made: Sequence[tuple[int, str]]) -> None:
    """Note what creates made, as :func:`naming`."""
    execute(connection, naming(made))


def settling(done: Sequence[tuple[int, str]]) -> Part:
    """Writes (effect id, right key) are done and were seen at the target."""
    return Part(
        "UPDATE sync.effect SET state = 'settled', settled_at = now(), right_key = g.right_key "
        "FROM unnest(CAST(:ids AS bigint[]), CAST(:right_keys AS text[])) AS g(id, right_key) "
        "WHERE sync.effect.id = g.id",
        _columns(done),
    )


def settle_all(connection: Connection, done: Sequence[tuple[int, str]]) -> None:
    """Writes (effect id, right key) are done and were seen at the target."""
    execute(connection, settling(done))


def _columns(pairs: Sequence[tuple[int, str]]) -> dict[str, list[Any]]:
    return {"ids": [id_ for id_, _ in pairs], "right_keys": [right_key for _, right_key in pairs]}


def fail(connection: Connection, effect_id: int, error: str) -> None:
    """The write surely did not happen, or a repetition of it does no harm. An effect in doubt stays in doubt."""
    connection.execute(
        text(
            "UPDATE sync.effect SET state = 'failed', settled_at = now(), error = :error "
            "WHERE id = :id AND state = 'intended'"
        ),
        {"id": effect_id, "error": error},
    )


def doubt(connection: Connection, effect_id: int, error: str, quiet_seconds: float) -> None:
    """A create whose reply was lost and that is not to be seen yet: it may still be running at the peer."""
    connection.execute(
        text(
            "UPDATE sync.effect SET state = 'in_doubt', error = :error, "
            "quiet_until = now() + make_interval(secs => :quiet) WHERE id = :id"
        ),
        {"id": effect_id, "error": error, "quiet": quiet_seconds},
    )


def resolve(connection: Connection, scope: Scope, keys: Sequence[str], *, but: Sequence[int] = ()) -> list[Interrupted]:
    """Close every open effect of these records, ``but`` those with these ids: the target has been looked at.

    Returns what was open.
    """
    rows = connection.execute(
        text(
            "UPDATE sync.effect e SET state = 'resolved', settled_at = now() WHERE scope_id = :scope_id "
            "AND key = ANY (CAST(:keys AS text[])) AND state IN ('intended', 'in_doubt') "
            "AND id <> ALL (CAST(:but AS bigint[])) "
            "RETURNING e.key, e.action, e.run_id, "
            "(SELECT c.fields FROM sync.plan_change c WHERE c.plan_id = e.plan_id "
            "AND c.key = coalesce(e.planned_key, e.key)) AS fields"
        ),
        {"scope_id": scope.id, "keys": list(keys), "but": list(but)},
    )
    return [Interrupted(row.key, row.action, row.run_id, tuple(row.fields or ())) for row in rows]


def recover(connection: Connection, scope: Scope, quiet_seconds: float) -> list[Effect]:
    """Take over what a killed run left behind; call only while holding the scope's lease.

    All of it is in doubt until somebody has looked at the target. It may still be running at the peer until
    ``quiet_seconds`` after it was intended; so long nothing is created in the place of a create, anything else can be
    done again.

    Returns:
        The effects found unsettled.
    """
    found = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.effect WHERE scope_id = :scope_id AND state = 'intended' ORDER BY id"),
        {"scope_id": scope.id},
    ).all()
    connection.execute(
        text(
            "UPDATE sync.effect SET error = 'the run was killed before the outcome was known', state = 'in_doubt', "
            "quiet_until = intended_at + make_interval(secs => :quiet) "
            "WHERE scope_id = :scope_id AND state = 'intended'"
        ),
        {"scope_id": scope.id, "quiet": quiet_seconds},
    )
    return [Effect(**row._mapping) for row in found]


def latest(connection: Connection, scope: Scope, key: str) -> Effect | None:
    """Return the newest effect of a record."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.effect WHERE scope_id = :scope_id AND key = :key ORDER BY id DESC LIMIT 1"),
        {"scope_id": scope.id, "key": key},
    ).one_or_none()
    return None if row is None else Effect(**row._mapping)


def unsettled(connection: Connection, scope: Scope, right_snapshot: int, keys: Sequence[str] | None) -> list[Unsettled]:
    """Return the writes in doubt that were begun before a snapshot of the target, with what the target shows of them.

    Arguments:
        keys: natural keys that were looked at, ``None`` for all.
    """
    rows = connection.execute(
        text(statement("unsettled")),
        {"scope_id": scope.id, "snapshot": right_snapshot, "keys": None if keys is None else list(keys)},
    )
    return [
        Unsettled(
            row.effect_id,
            change_of(row),
            row.plan_id,
            row.planned_key,
            row.run_id,
            row.attempt,
            row.quiet_over,
            row.shown_key,
            row.shown,
        )
        for row in rows
    ]
