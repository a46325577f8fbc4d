"""Syncs as people start and steer them. They outlive the processes that serve requests and those that do the work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.orchestration import (
    ACTIVE,
    OVER,
    StartRequest,
    Status,
    Step,
    SyncConfig,
    SyncEntity,
    SyncSystem,
    take,
)
from sync_pipelines.store.statements import text


class Unowned(SyncError):
    """A worker lost the sync that it carried out to another one."""


@dataclass(frozen=True, slots=True)
class Orchestration:
    """A sync.

    Attributes:
        requested: what its worker is asked to do: pause or cancel.
        idempotency_key: chosen by whoever started it.
        worked_seconds: time spent on it so far, pauses left out.
        is_attended: whether a living worker carries it out.
        updated_at: when it was last started, taken up, asked for something, or moved.
    """

    sync_id: str
    org: str
    shop: str
    systems: tuple[SyncSystem, ...]
    entities: tuple[SyncEntity, ...]
    status: Status
    config: SyncConfig
    requested: Step | None
    idempotency_key: str | None
    worked_seconds: float
    is_attended: bool
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = (
    "sync_id, org_id, shop, systems, entity_types, status, config, requested, idempotency_key, started_at, "
    "completed_at, error_message, created_at, updated_at, worked_seconds + CASE WHEN working_since IS NULL THEN 0 ELSE "
    "extract(epoch FROM least(clock_timestamp(), owner_until) - working_since) END AS worked_seconds, "
    "owner IS NOT NULL AND owner_until > clock_timestamp() AS is_attended"
)
_LET_GO = (
    "owner = NULL, owner_until = NULL, working_since = NULL, worked_seconds = worked_seconds + coalesce(extract("
    "epoch FROM least(clock_timestamp(), owner_until) - working_since), 0)"
)


def lock_organization(connection: Connection, org: str) -> None:
    """Let nobody else start or resume a sync of the organization until the transaction is over."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('sync_orchestration of ' || :org, 0))"), {"org": org}
    )


def count_active(connection: Connection, org: str) -> int:
    """Return how many syncs of an organization wait or work."""
    query = text(
        "SELECT count(*) FROM sync.sync_orchestration WHERE org_id = :org AND status = ANY (CAST(:active AS text[]))"
    )
    return int(connection.execute(query, {"org": org, "active": sorted(ACTIVE)}).scalar_one())


def create(connection: Connection, org: str, shop: str, request: StartRequest, by: str) -> Orchestration:
    """Queue a sync, or store it as a draft."""
    sync_id = connection.execute(
        text(
            "INSERT INTO sync.sync_orchestration (org_id, shop, systems, entity_types, status, config, started_by, "
            "idempotency_key) VALUES (:org, :shop, CAST(:systems AS jsonb), CAST(:entities AS jsonb), :status, "
            "CAST(:config AS jsonb), :by, :key) RETURNING sync_id"
        ),
        {
            "org": org,
            "shop": shop,
            "systems": canonical_json([str(one) for one in request.systems]),
            "entities": canonical_json([str(one) for one in request.entityTypes]),
            "status": Status.DRAFT if request.draft else take(Status.DRAFT, Step.START),
            "config": request.syncConfig.model_dump_json(),
            "by": by,
            "key": request.idempotencyKey,
        },
    ).scalar_one()
    parts = [(entity, system) for entity in request.entityTypes for system in request.systems]
    connection.execute(
        text(
            "INSERT INTO sync.sync_item (sync_id, system, entity_type, position) "
            "VALUES (:sync_id, :system, :entity, :position)"
        ),
        [
            {"sync_id": sync_id, "system": system, "entity": entity, "position": position}
            for position, (entity, system) in enumerate(parts)
        ],
    )
    return read(connection, sync_id)


def started_before(connection: Connection, org: str, idempotency_key: str) -> Orchestration | None:
    """Return the sync that was started with a key, ``None`` when there is none."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE org_id = :org AND idempotency_key = :key"),
        {"org": org, "key": idempotency_key},
    ).one_or_none()
    return None if row is None else _orchestration(row)


def read(connection: Connection, sync_id: str) -> Orchestration:
    """Return a sync by its id."""
    query = text(f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE sync_id = :id")
    return _orchestration(connection.execute(query, {"id": sync_id}).one())


def find(connection: Connection, org: str, sync_id: str, *, locked: bool = False) -> Orchestration | None:
    """Return a sync of an organization; those of others do not exist for it.

    Arguments:
        locked: nobody else moves it until the transaction is over.
    """
    row = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE sync_id = :id AND org_id = :org"
            f"{' FOR UPDATE' if locked else ''}"
        ),
        {"id": sync_id, "org": org},
    ).one_or_none()
    return None if row is None else _orchestration(row)


def of_organization(
    connection: Connection, org: str, *, shop: str | None = None, limit: int = 20
) -> list[Orchestration]:
    """Return the newest syncs of an organization first.

    Arguments:
        shop: only those of this shop.
    """
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE org_id = :org "
            "AND (CAST(:shop AS text) IS NULL OR shop = :shop) ORDER BY id DESC LIMIT :limit"
        ),
        {"org": org, "shop": shop, "limit": limit},
    )
    return [_orchestration(row) for row in rows]


def beginning_with(connection: Connection, orgs: Collection[str], beginning: str) -> list[Orchestration]:
    """Return the syncs of some organizations whose ids begin with a text; two at most."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE org_id = ANY (CAST(:orgs AS text[])) "
            "AND starts_with(sync_id, :beginning) ORDER BY id LIMIT 2"
        ),
        {"orgs": list(orgs), "beginning": beginning},
    )
    return [_orchestration(row) for row in rows]


def waiting(connection: Connection, *, shops: Sequence[str] | None = None) -> list[Orchestration]:
    """Return the syncs that a worker may take up: queued, or left by a worker that is gone. The oldest come first.

    Arguments:
        shops: only those of these shops, ``None`` for all.
    """
    rows = connection.execute(
        text(
            # Of the many that are over none is looked at: they are not in the partial index.
            f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE status IN ('queued', 'processing') "
            "AND (status = :queued OR owner IS NULL OR owner_until <= clock_timestamp()) "
            "AND (CAST(:shops AS text[]) IS NULL OR shop = ANY (CAST(:shops AS text[]))) ORDER BY id"
        ),
        {"queued": Status.QUEUED, "shops": None if shops is None else list(shops)},
    )
    return [_orchestration(row) for row in rows]


def move(connection: Connection, sync: Orchestration, step: Step, error: str | None = None) -> Orchestration:
    """Bring a sync that is locked to the status that a step leads to; whoever worked on it works on it no more.

    Raises:
        IllegalStep: it cannot take that step.
    """
    after = take(sync.status, step)
    connection.execute(
        text(
            f"UPDATE sync.sync_orchestration SET status = :status, requested = NULL, requested_by = NULL, {_LET_GO}, "
            "error_message = :error, completed_at = CASE WHEN :over THEN clock_timestamp() END, updated_at = now() "
            "WHERE sync_id = :id"
        ),
        {"id": sync.sync_id, "status": after, "over": after in OVER, "error": error},
    )
    return read(connection, sync.sync_id)


def ask(connection: Connection, sync: Orchestration, step: Step, by: str) -> Orchestration:
    """Ask the worker of a sync that is locked to pause or cancel it. A cancellation is not taken back by a pause."""
    connection.execute(
        text(
            "UPDATE sync.sync_orchestration SET requested_by = :by, updated_at = now(), "
            "requested = CASE WHEN requested = 'cancel' THEN requested ELSE :step END WHERE sync_id = :id"
        ),
        {"id": sync.sync_id, "step": step, "by": by},
    )
    return read(connection, sync.sync_id)


def claim(connection: Connection, sync_id: str, owner: str, seconds: float) -> Orchestration | None:
    """Take up a sync that waits for a worker; ``None`` when it does not (any more).

    Returns it as it was before: queued, or processing when its worker is gone.

    Arguments:
        owner: name of the worker, another one each time.
        seconds: how long it counts as alive without a sign.
    """
    found = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE sync_id = :id AND (status = :queued OR "
            "status = :processing AND (owner IS NULL OR owner_until <= clock_timestamp())) FOR UPDATE"
        ),
        {"id": sync_id, "queued": Status.QUEUED, "processing": Status.PROCESSING},
    ).one_or_none()
    if found is None:
        return None
    before = _orchestration(found)
    connection.execute(
        text(
            f"UPDATE sync.sync_orchestration SET {_LET_GO}, status = :status, updated_at = now(), "
            "started_at = coalesce(started_at, clock_timestamp()) WHERE sync_id = :id"
        ),
        {"id": sync_id, "status": take(before.status, Step.BEGIN)},
    )
    connection.execute(
        text(
            "UPDATE sync.sync_orchestration SET owner = :owner, working_since = clock_timestamp(), "
            "owner_until = clock_timestamp() + make_interval(secs => :seconds) WHERE sync_id = :id"
        ),
        {"id": sync_id, "owner": owner, "seconds": seconds},
    )
    return before


def beat(connection: Connection, sync_id: str, owner: str, seconds: float) -> Step | None:
    """Show that a sync's worker is alive. Returns what it is asked to do.

    Raises:
        Unowned: it is not the worker's any more.
    """
    row = connection.execute(
        text(
            "UPDATE sync.sync_orchestration SET owner_until = clock_timestamp() + make_interval(secs => :seconds) "
            "WHERE sync_id = :id AND owner = :owner RETURNING requested"
        ),
        {"id": sync_id, "owner": owner, "seconds": seconds},
    ).one_or_none()
    if row is None:
        raise Unowned(f"{sync_id} is carried out by another worker by now; this one stops")
    return None if row.requested is None else Step(row.requested)


def held_by(connection: Connection, sync_id: str, owner: str) -> Orchestration:
    """Return a sync for its worker to move, locked.

    Raises:
        Unowned: it is not the worker's any more.
    """
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.sync_orchestration WHERE sync_id = :id AND owner = :owner FOR UPDATE"),
        {"id": sync_id, "owner": owner},
    ).one_or_none()
    if row is None:
        raise Unowned(f"{sync_id} is carried out by another worker by now; this one stops")
    return _orchestration(row)


def let_go(connection: Connection, sync_id: str, owner: str) -> None:
    """Leave a sync to whoever takes it up next; does nothing when it is another's by now."""
    connection.execute(
        text(f"UPDATE sync.sync_orchestration SET {_LET_GO} WHERE sync_id = :id AND owner = :owner"),
        {"id": sync_id, "owner": owner},
    )


def _orchestration(row: Row[Any]) -> Orchestration:
    return Orchestration(
        sync_id=row.sync_id,
        org=row.org_id,
        shop=row.shop,
        systems=tuple(map(SyncSystem, row.systems)),
        entities=tuple(map(SyncEntity, row.entity_types)),
        status=Status(row.status),
        config=SyncConfig.model_validate(row.config),
        requested=None if row.requested is None else Step(row.requested),
        idempotency_key=row.idempotency_key,
        worked_seconds=float(row.worked_seconds),
        is_attended=row.is_attended,
        started_at=row.started_at,
        completed_at=row.completed_at,
        error=row.error_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
