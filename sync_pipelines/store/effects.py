"""Effects: one row per attempted write, committed before the call is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from sync_pipelines.core.plan import Change
from sync_pipelines.store.scopes import Scope


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


_COLUMNS = ", ".join(Effect.__dataclass_fields__)


def intend(connection: Connection, scope: Scope, change: Change, *, plan_id: int, attempt: int, run_id: str) -> int:
    """Write down, before the call, what is about to be done. Returns the effect's id."""
    return int(
        connection.execute(
            text(
                "INSERT INTO sync.effect (scope_id, plan_id, key, natural_key, right_key, action, state, attempt, "
                "run_id) VALUES (:scope_id, :plan_id, :key, :natural_key, :right_key, :action, 'intended', :attempt, "
                ":run_id) RETURNING id"
            ),
            {
                "scope_id": scope.id,
                "plan_id": plan_id,
                "key": change.key,
                "natural_key": change.natural_key,
                "right_key": change.right_key,
                "action": change.action.value,
                "attempt": attempt,
                "run_id": run_id,
            },
        ).scalar_one()
    )


def name_target(connection: Connection, effect_id: int, right_key: str) -> None:
    """Note what a create made, before anything else is done with it."""
    connection.execute(
        text("UPDATE sync.effect SET right_key = :right_key WHERE id = :id"), {"id": effect_id, "right_key": right_key}
    )


def settle(connection: Connection, effect_id: int, right_key: str | None) -> None:
    """The write is done and was seen at the target."""
    connection.execute(
        text(
            "UPDATE sync.effect SET state = 'settled', settled_at = now(), "
            "right_key = coalesce(:right_key, right_key) WHERE id = :id"
        ),
        {"id": effect_id, "right_key": right_key},
    )


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


def resolve(connection: Connection, scope: Scope, keys: Sequence[str]) -> None:
    """Close every open effect of these records: the target has been looked at."""
    connection.execute(
        text(
            "UPDATE sync.effect SET state = 'resolved', settled_at = now() WHERE scope_id = :scope_id "
            "AND key = ANY (CAST(:keys AS text[])) AND state IN ('intended', 'in_doubt')"
        ),
        {"scope_id": scope.id, "keys": list(keys)},
    )


def in_doubt(connection: Connection, scope: Scope, key: str) -> bool:
    """Say whether a create of this record may still be running at the peer: nothing may be created until it is over."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM sync.effect WHERE scope_id = :scope_id AND key = :key "
                "AND state = 'in_doubt' AND quiet_until > clock_timestamp())"
            ),
            {"scope_id": scope.id, "key": key},
        ).scalar_one()
    )


def recover(connection: Connection, scope: Scope, quiet_seconds: float) -> list[Effect]:
    """Take over what a killed run left behind; call only while holding the scope's lease.

    A create may still be running at the peer: it is in doubt until ``quiet_seconds`` after it was intended. Anything
    else is idempotent and simply planned again.

    Returns:
        The effects found unsettled.
    """
    found = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.effect WHERE scope_id = :scope_id AND state = 'intended' ORDER BY id"),
        {"scope_id": scope.id},
    ).all()
    connection.execute(
        text(
            "UPDATE sync.effect SET error = 'the run was killed before the outcome was known', "
            "state = CASE WHEN action = 'create' AND right_key IS NULL THEN 'in_doubt' ELSE 'resolved' END, "
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
