"""The connections as a table: what is connected, how it stands, and what each cycle came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.store.marketplaces.rows import json_text
from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text


class ConnectionStatus(StrEnum):
    """Whether an account can be reached."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"
    PENDING = "pending"
    EXPIRED = "expired"


class SyncStatus(StrEnum):
    """How the last sync of a connection ended, or that one is under way."""

    SUCCESS = "success"
    PARTIAL = "partial"
    ERROR = "error"
    IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class Described:
    """A connection as the connections file has it."""

    name: str
    organization: str
    marketplace: str
    account: str
    active: bool


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection as it stands. ``sync_status`` is ``None`` until it was synced for the first time."""

    id: int
    name: str
    organization: str
    marketplace: str
    account: str
    active: bool
    status: ConnectionStatus
    sync_status: SyncStatus | None
    last_checked: datetime | None
    last_synced_at: datetime | None
    last_error: str | None


def register(connection: Connection, described: Sequence[Described]) -> dict[str, int]:
    """Bring the table in line with the connections file: name -> id.

    A connection that is not in the file any more is ``disconnected`` and not active; its records are kept.
    """
    for one in described:
        connection.execute(
            text(
                "INSERT INTO sync.marketplace_connection AS c (name, organization, marketplace, account, active) "
                "VALUES (:name, :organization, :marketplace, :account, :active) ON CONFLICT (name) DO UPDATE SET "
                "organization = EXCLUDED.organization, marketplace = EXCLUDED.marketplace, account = EXCLUDED.account, "
                "active = EXCLUDED.active, updated_at = now(), "
                "status = CASE WHEN c.status = 'disconnected' THEN 'pending' ELSE c.status END "
                "WHERE (c.organization, c.marketplace, c.account, c.active) IS DISTINCT FROM (EXCLUDED.organization, "
                "EXCLUDED.marketplace, EXCLUDED.account, EXCLUDED.active) OR c.status = 'disconnected'"
            ),
            {
                "name": one.name,
                "organization": one.organization,
                "marketplace": one.marketplace,
                "account": one.account,
                "active": one.active,
            },
        )
    names = [one.name for one in described]
    connection.execute(
        text(
            "UPDATE sync.marketplace_connection SET status = 'disconnected', active = false, updated_at = now() "
            "WHERE name <> ALL (CAST(:names AS text[])) AND (active OR status <> 'disconnected')"
        ),
        {"names": names},
    )
    rows = connection.execute(
        text("SELECT name, id FROM sync.marketplace_connection WHERE name = ANY (CAST(:names AS text[]))"),
        {"names": names},
    )
    return {row.name: row.id for row in rows}


def states(connection: Connection) -> list[ConnectionState]:
    """Return all connections by name."""
    rows = connection.execute(
        text(
            "SELECT id, name, organization, marketplace, account, active, status, sync_status, last_checked, "
            "last_synced_at, last_error FROM sync.marketplace_connection ORDER BY name"
        )
    )
    return [
        ConnectionState(
            row.id,
            row.name,
            row.organization,
            row.marketplace,
            row.account,
            row.active,
            ConnectionStatus(row.status),
            None if row.sync_status is None else SyncStatus(row.sync_status),
            row.last_checked,
            row.last_synced_at,
            row.last_error,
        )
        for row in rows
    ]


def begun(connection: Connection, connection_id: int) -> None:
    """Note that a sync is under way."""
    connection.execute(
        text(
            "UPDATE sync.marketplace_connection SET sync_status = 'in_progress', last_checked = clock_timestamp(), "
            "updated_at = clock_timestamp() WHERE id = :connection_id"
        ),
        {"connection_id": connection_id},
    )


def ended(
    connection: Connection, connection_id: int, sync_status: SyncStatus, status: ConnectionStatus, error: str | None
) -> None:
    """Note how a sync ended."""
    connection.execute(
        text(
            "UPDATE sync.marketplace_connection SET sync_status = :sync_status, status = :status, last_error = :error, "
            "last_synced_at = CASE WHEN :sync_status = 'success' THEN clock_timestamp() ELSE last_synced_at END, "
            "updated_at = clock_timestamp() WHERE id = :connection_id"
        ),
        {
            "connection_id": connection_id,
            "sync_status": sync_status.value,
            "status": status.value,
            "error": None if error is None else storable_text(error),
        },
    )


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle that ended; ``result`` is what it came to, in the words of the routes."""

    id: int
    run_id: str
    started_at: datetime
    finished_at: datetime
    success: bool
    result: Mapping[str, Any]


def note_cycle(
    connection: Connection, run_id: str, started_at: datetime, success: bool, result: Mapping[str, Any]
) -> None:
    """Keep what a cycle came to."""
    connection.execute(
        text(
            "INSERT INTO sync.marketplace_cycle (run_id, started_at, finished_at, success, result) "
            "VALUES (:run_id, :started_at, clock_timestamp(), :success, CAST(:result AS jsonb))"
        ),
        {"run_id": run_id, "started_at": started_at, "success": success, "result": json_text(result)},
    )


def cycles_since(connection: Connection, since: datetime) -> list[Cycle]:
    """Return the cycles that began at a time or later, in the order in which they ended."""
    rows = connection.execute(
        text(
            "SELECT id, run_id, started_at, finished_at, success, result FROM sync.marketplace_cycle "
            "WHERE started_at >= :since ORDER BY id"
        ),
        {"since": since},
    )
    return [Cycle(*row) for row in rows]


def last_cycle(connection: Connection) -> Cycle | None:
    """Return the cycle that ended last."""
    row = connection.execute(
        text(
            "SELECT id, run_id, started_at, finished_at, success, result FROM sync.marketplace_cycle "
            "ORDER BY id DESC LIMIT 1"
        )
    ).one_or_none()
    return None if row is None else Cycle(*row)
