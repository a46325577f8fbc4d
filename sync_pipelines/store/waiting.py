"""Records that wait: for the time of their retry, or to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import State
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement, text


@dataclass(frozen=True, slots=True)
class DueRetry:
    """A record whose retry is due."""

    scope: str
    natural_key: str
    next_retry_at: datetime


def due(connection: Connection, pair: str) -> list[DueRetry]:
    """Return the records of a pair whose retry is due."""
    rows = connection.execute(
        text(
            "SELECT s.name AS scope, coalesce(l.natural_key, b.natural_key, r.key) AS natural_key, r.next_retry_at "
            "FROM sync.record_state r JOIN sync.scope s ON s.id = r.scope_id "
            "LEFT JOIN sync.record l ON l.scope_id = r.scope_id AND l.side = 'left' AND l.key = r.key "
            "LEFT JOIN sync.base b ON b.scope_id = r.scope_id AND b.left_key = r.key "
            "WHERE s.pair = :pair AND r.state = 'retrying' AND r.next_retry_at <= now() ORDER BY s.name, r.key"
        ),
        {"pair": pair},
    )
    return [DueRetry(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A record that is not in agreement, and what is known of why."""

    pair: str
    scope: str
    natural_key: str
    state: State
    reason: str
    next_retry_at: datetime | None


def in_states(
    connection: Connection, scopes: Sequence[Scope], wanted: Sequence[State], *, limit: int
) -> list[Unsettled]:
    """Return the first records of some scopes that are in some states other than synced."""
    rows = connection.execute(
        text(statement("records_in_states")),
        {"scopes": [scope.id for scope in scopes], "states": [state.value for state in wanted], "most": limit},
    )
    return [
        Unsettled(row.pair, row.scope, row.natural_key, State(row.state), row.reason, row.next_retry_at) for row in rows
    ]
