"""Life cycle of records and their dead letters. The transition table itself is ``core.lifecycle``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from sync_pipelines.core.errors import Cause, FailureKind
from sync_pipelines.core.lifecycle import INITIAL, Event, State, advance, sources_of, target_of
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, text


@dataclass(frozen=True, slots=True)
class RecordState:
    """Where a record stands and why."""

    key: str
    state: State
    reason: str
    failures: int
    first_error: str | None
    last_error: str | None
    first_failed_at: datetime | None
    last_attempt_at: datetime | None
    next_retry_at: datetime | None
    synced_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was given up.

    Attributes:
        failure_kind: that of its last failure, ``None`` where nobody noted it.
        cause: what its last refusal was about, where its system said so.
    """

    id: int
    scope: str
    key: str
    action: str
    first_error: str
    last_error: str
    attempts: int
    first_attempt_at: datetime
    last_attempt_at: datetime
    dead_lettered_at: datetime
    payload_hash: str
    plan_hash: str | None
    failure_kind: FailureKind | None
    cause: Cause | None
    state: str
    closed_at: datetime | None
    closed_by: str | None


class Settled(NamedTuple):
    """A record of which an attempt succeeded. Without ``agreed`` something is left over."""

    key: str
    reason: str
    agreed: bool = True


_STATE_COLUMNS = ", ".join(RecordState.__dataclass_fields__)
_LETTER_COLUMNS = "d." + ", d.".join(name for name in DeadLetter.__dataclass_fields__ if name != "scope")


def find_state(connection: Connection, scope: Scope, key: str) -> RecordState | None:
    """Return where a record stands, ``None`` when it was never seen."""
    row = connection.execute(
        text(f"SELECT {_STATE_COLUMNS} FROM sync.record_state WHERE scope_id = :scope_id AND key = :key"),
        {"scope_id": scope.id, "key": key},
    ).one_or_none()
    return None if row is None else RecordState(**{**row._mapping, "state": State(row.state)})


def introduce(connection: Connection, scope: Scope) -> int:
    """Give every newly seen left record its initial state. Returns how many were new."""
    return connection.execute(
        text(
            "INSERT INTO sync.record_state (scope_id, key, state, reason) "
            "SELECT scope_id, key, :initial, 'seen at the source, never synchronized' FROM sync.record l "
            "WHERE scope_id = :scope_id AND side = 'left' AND NOT EXISTS "
            "(SELECT FROM sync.record_state s WHERE s.scope_id = l.scope_id AND s.key = l.key) ON CONFLICT DO NOTHING"
        ),
        {"scope_id": scope.id, "initial": INITIAL.value},
    ).rowcount


def mark_drifted(connection: Connection, scope: Scope, reasons: Sequence[tuple[str, str]]) -> int:
    """Move records (key, reason) out of sync where the table allows it. Returns how many newly drifted."""
    return _advance_many(connection, scope, Event.DRIFTED, reasons, "AND r.state <> 'out_of_sync'")


def explain(connection: Connection, scope: Scope, reasons: Sequence[tuple[str, str]]) -> None:
    """Set why records (key, reason) are where they are, without moving them."""
    if reasons:
        connection.execute(
            text(
                "UPDATE sync.record_state r SET reason = given.reason, updated_at = now() "
                "FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS given(key, reason) "
                "WHERE r.scope_id = :scope_id AND r.key = given.key AND r.reason <> given.reason"
            ),
            _columns(scope, reasons),
        )


def mark_agreed(
    connection: Connection, scope: Scope, plan_id: int, undecided: Sequence[str], keys: Sequence[str] | None
) -> int:
    """Move every linked record about which nothing has to be decided to synced: agreed on, or retired.

    Arguments:
        plan_id: the plan, which says what is to be done about its own records.
        undecided: keys that were left out of the plan for a reason.
        keys: natural keys of a selective pass, ``None`` for a full one.
    """
    return connection.execute(
        text(
            "UPDATE sync.record_state r SET state = :target, reason = "
            "CASE WHEN b.retired_at IS NULL THEN 'both sides agree' ELSE 'retired' END, failures = 0, "
            "first_error = NULL, first_failed_at = NULL, next_retry_at = NULL, synced_at = now(), updated_at = now() "
            "FROM sync.base b WHERE r.scope_id = :scope_id AND b.scope_id = r.scope_id AND b.left_key = r.key "
            "AND (b.agreed_at IS NOT NULL OR b.retired_at IS NOT NULL) "
            "AND r.state = ANY (:sources) AND r.state <> :target "
            # A scalar query, not NOT EXISTS: for want of statistics on the plan just written, PostgreSQL joins that one
            # by reading the whole plan for every record. With 200,000 changes it did not come to an end.
            "AND (SELECT c.key FROM sync.plan_change c WHERE c.plan_id = :plan_id AND c.key = r.key) IS NULL "
            "AND r.key <> ALL (CAST(:undecided AS text[])) "
            "AND (CAST(:keys AS text[]) IS NULL OR b.natural_key = ANY (CAST(:keys AS text[])))"
        ),
        {
            "scope_id": scope.id,
            "target": State.SYNCED.value,
            "sources": [state.value for state in sources_of(Event.AGREED)],
            "plan_id": plan_id,
            "undecided": list(undecided),
            "keys": None if keys is None else list(keys),
        },
    ).rowcount


def unschedule(connection: Connection, scope: Scope, keys: Sequence[str]) -> int:
    """Drop retries that are due, of records for which nothing is to be done now. Returns how many.

    Without this a retry that became pointless (withheld since, in conflict, waiting for a person) is due for ever.
    """
    return connection.execute(
        text(
            "UPDATE sync.record_state SET state = :target, next_retry_at = NULL, updated_at = now() "
            "WHERE scope_id = :scope_id AND key = ANY (CAST(:keys AS text[])) AND state = :retrying "
            "AND next_retry_at <= now()"
        ),
        {
            "scope_id": scope.id,
            "keys": list(keys),
            "retrying": State.RETRYING.value,
            "target": advance(State.RETRYING, Event.ATTEMPT_FAILED).value,
        },
    ).rowcount


def settling(connection: Connection, scope: Scope, settled: Sequence[Settled]) -> Part:
    """Record that attempts succeeded.

    Where something is left over, a record that never agreed stays pending, and any other is out of sync.
    """
    left_over = [one.key for one in settled if not one.agreed]
    before = _states(connection, scope, left_over) if left_over else {}
    return Part(
        (
            "INSERT INTO sync.record_state AS r (scope_id, key, state, reason, last_attempt_at, synced_at) "
            "SELECT :scope_id, g.key, g.state, g.reason, now(), CASE WHEN g.agreed THEN now() END "
            "FROM unnest(CAST(:keys AS text[]), CAST(:states AS text[]), CAST(:reasons AS text[]), "
            "CAST(:agreed AS boolean[])) AS g(key, state, reason, agreed) "
            "ON CONFLICT (scope_id, key) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason, failures = 0, "
            "first_error = NULL, first_failed_at = NULL, next_retry_at = NULL, last_attempt_at = now(), "
            "synced_at = coalesce(EXCLUDED.synced_at, r.synced_at), updated_at = now()"
        ),
        {
            "scope_id": scope.id,
            "keys": [one.key for one in settled],
            "states": [
                # The table lets every state come to agreement, so that only what is left over has to be looked up.
                (target_of(Event.AGREED) if one.agreed else _left_over(before.get(one.key, INITIAL))).value
                for one in settled
            ],
            "reasons": [one.reason for one in settled],
            "agreed": [one.agreed for one in settled],
        },
    )


def _left_over(before: State) -> State:
    return INITIAL if before is INITIAL else advance(advance(before, Event.AGREED), Event.DRIFTED)


def _states(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, State]:
    rows = connection.execute(
        text(
            "SELECT key, state FROM sync.record_state WHERE scope_id = :scope_id AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"scope_id": scope.id, "keys": list(keys)},
    )
    return {row.key: State(row.state) for row in rows}


def fail(
    connection: Connection, scope: Scope, key: str, error: str, *, counted: bool, retry_seconds: float | None
) -> RecordState:
    """Record a failed attempt and what follows: a retry after ``retry_seconds``, or ``failed`` when that is None.

    ``counted`` is False when the failure is not the record's fault. Dead-lettering follows by :func:`bury`.
    """
    current = find_state(connection, scope, key)
    before = current.state if current else INITIAL
    after = advance(State.OUT_OF_SYNC if before is State.SYNCED else before, Event.ATTEMPT_FAILED)
    if retry_seconds is not None:
        after = advance(after, Event.RETRY_SCHEDULED)
    connection.execute(
        text(
            "INSERT INTO sync.record_state AS r (scope_id, key, state, reason, failures, first_error, last_error, "
            "first_failed_at, last_attempt_at, next_retry_at) VALUES (:scope_id, :key, :state, :error, :counted, "
            ":error, :error, now(), now(), now() + make_interval(secs => :retry)) "
            "ON CONFLICT (scope_id, key) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason, "
            "failures = r.failures + EXCLUDED.failures, first_error = coalesce(r.first_error, EXCLUDED.first_error), "
            "last_error = EXCLUDED.last_error, first_failed_at = coalesce(r.first_failed_at, now()), "
            "last_attempt_at = now(), next_retry_at = EXCLUDED.next_retry_at, updated_at = now()"
        ),
        {
            "scope_id": scope.id,
            "key": key,
            "state": after.value,
            "error": error,
            "counted": int(counted),
            "retry": retry_seconds,
        },
    )
    state = find_state(connection, scope, key)
    assert state is not None
    return state


def bury(
    connection: Connection,
    scope: Scope,
    key: str,
    *,
    action: str,
    payload_hash: str,
    plan_hash: str | None,
    kind: FailureKind | None = None,
    cause: Cause | None = None,
) -> None:
    """Dead-letter a record that has just failed in some way, keeping its history."""
    state = find_state(connection, scope, key)
    assert state is not None
    after = advance(state.state, Event.GIVEN_UP)
    connection.execute(
        text(
            "INSERT INTO sync.dead_letter AS d (scope_id, key, action, first_error, last_error, attempts, "
            "first_attempt_at, last_attempt_at, payload_hash, plan_hash, failure_kind, cause) "
            "SELECT scope_id, key, :action, first_error, last_error, failures, first_failed_at, last_attempt_at, "
            ":payload_hash, :plan_hash, :kind, :cause FROM sync.record_state WHERE scope_id = :scope_id AND key = :key "
            "ON CONFLICT (scope_id, key) WHERE state = 'open' DO UPDATE SET last_error = EXCLUDED.last_error, "
            "last_attempt_at = EXCLUDED.last_attempt_at, attempts = d.attempts + 1, payload_hash = "
            "EXCLUDED.payload_hash, plan_hash = EXCLUDED.plan_hash, failure_kind = EXCLUDED.failure_kind, "
            "cause = EXCLUDED.cause"
        ),
        {
            "scope_id": scope.id,
            "key": key,
            "action": action,
            "payload_hash": payload_hash,
            "plan_hash": plan_hash,
            "kind": kind,
            "cause": cause,
        },
    )
    connection.execute(
        text(
            "UPDATE sync.record_state SET state = :state, updated_at = now() WHERE scope_id = :scope_id AND key = :key"
        ),
        {"scope_id": scope.id, "key": key, "state": after.value},
    )


def resolve_letters(connection: Connection, scope: Scope) -> list[str]:
    """Close open dead letters of records that agree again without us. Returns their keys."""
    return list(
        connection.execute(
            text(
                "UPDATE sync.dead_letter d SET state = 'resolved', closed_at = now(), closed_by = 'found in agreement' "
                "FROM sync.record_state r WHERE d.scope_id = :scope_id AND d.state = 'open' "
                "AND r.scope_id = d.scope_id AND r.key = d.key AND r.state <> 'dead_lettered' RETURNING d.key"
            ),
            {"scope_id": scope.id},
        ).scalars()
    )


def reprocess(connection: Connection, scope: Scope, keys: Sequence[str] | None, by: str) -> list[str]:
    """Give dead-lettered records a new life: pending, no failures. Returns the keys concerned (None = all)."""
    closed = list(
        connection.execute(
            text(
                "UPDATE sync.dead_letter SET state = 'reprocessed', closed_at = now(), closed_by = :by "
                "WHERE scope_id = :scope_id AND state = 'open' "
                "AND (CAST(:keys AS text[]) IS NULL OR key = ANY (CAST(:keys AS text[]))) RETURNING key"
            ),
            {"scope_id": scope.id, "by": by, "keys": None if keys is None else list(keys)},
        ).scalars()
    )
    if closed:
        connection.execute(
            text(
                "UPDATE sync.record_state SET state = :target, reason = :reason, failures = 0, first_error = NULL, "
                "first_failed_at = NULL, next_retry_at = NULL, updated_at = now() "
                "WHERE scope_id = :scope_id AND key = ANY (:keys) AND state = ANY (:sources)"
            ),
            {
                "scope_id": scope.id,
                "keys": closed,
                "target": target_of(Event.REPROCESSED).value,
                "reason": f"reprocessed by {by}",
                "sources": [state.value for state in sources_of(Event.REPROCESSED)],
            },
        )
    return sorted(closed)


def letters(connection: Connection, pair: str, *, scope: str | None = None, open_only: bool = True) -> list[DeadLetter]:
    """Return dead letters of a pair, oldest first."""
    rows = connection.execute(
        text(
            f"SELECT s.name AS scope, {_LETTER_COLUMNS} FROM sync.dead_letter d JOIN sync.scope s ON s.id = d.scope_id "
            "WHERE s.pair = :pair AND (CAST(:scope AS text) IS NULL OR s.name = :scope) "
            "AND (NOT :open_only OR d.state = 'open') ORDER BY d.id"
        ),
        {"pair": pair, "scope": scope, "open_only": open_only},
    )
    return [
        DeadLetter(
            **{
                **row._mapping,
                "failure_kind": row.failure_kind and FailureKind(row.failure_kind),
                "cause": row.cause and Cause(row.cause),
            }
        )
        for row in rows
    ]


def tally(connection: Connection, scope: Scope) -> dict[State, int]:
    """Return how many records of a scope are in each state."""
    rows = connection.execute(
        text("SELECT state, count(*) AS n FROM sync.record_state WHERE scope_id = :scope_id GROUP BY state"),
        {"scope_id": scope.id},
    )
    counted = {State(row.state): int(row.n) for row in rows}
    return {state: counted.get(state, 0) for state in State}


def _advance_many(
    connection: Connection, scope: Scope, event: Event, reasons: Sequence[tuple[str, str]], condition: str
) -> int:
    if not reasons:
        return 0
    return connection.execute(
        text(
            "UPDATE sync.record_state r SET state = :target, reason = given.reason, updated_at = now() "
            "FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS given(key, reason) "
            "WHERE r.scope_id = :scope_id AND r.key = given.key AND r.state = ANY (:sources) " + condition
        ),
        {
            **_columns(scope, reasons),
            "target": target_of(event).value,
            "sources": [state.value for state in sources_of(event)],
        },
    ).rowcount


def _columns(scope: Scope, reasons: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"scope_id": scope.id, "keys": [key for key, _ in reasons], "reasons": [reason for _, reason in reasons]}
