"""What happened to syncs, and how often an organization asks about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.orchestration import Activity
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines.store.statements import text

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A milestone of a sync."""

    action: Activity
    details: Mapping[str, Any]
    created_at: datetime


def note(connection: Connection, sync: Orchestration, action: Activity, **details: Any) -> None:
    """Write down a milestone."""
    connection.execute(
        text(
            "INSERT INTO sync.sync_activity_log (sync_id, org_id, action, details) "
            "VALUES (:id, :org, :action, CAST(:details AS jsonb))"
        ),
        {"id": sync.sync_id, "org": sync.org, "action": action, "details": canonical_json(details)},
    )


def entries(connection: Connection, org: str, sync_id: str, *, limit: int = 1000) -> list[Entry]:
    """Return the milestones of a sync of an organization, oldest first."""
    rows = connection.execute(
        text(
            "SELECT action, details, created_at FROM sync.sync_activity_log "
            "WHERE sync_id = :id AND org_id = :org ORDER BY id LIMIT :limit"
        ),
        {"id": sync_id, "org": org, "limit": limit},
    )
    return [Entry(Activity(row.action), row.details, row.created_at) for row in rows]


def admit(connection: Connection, org: str, most: int) -> float:
    """Count a request of an organization, if it may be made now.

    Returns 0, or else the seconds after which the organization may ask again; then the request is not counted.

    Arguments:
        most: requests in any span of a minute.
    """
    connection.execute(
        text("INSERT INTO sync.sync_request (org_id, recent) VALUES (:org, '{}') ON CONFLICT DO NOTHING"), {"org": org}
    )
    # Locked first: clock and list are those of one request at a time.
    connection.execute(text("SELECT FROM sync.sync_request WHERE org_id = :org FOR UPDATE"), {"org": org})
    row = connection.execute(
        text(
            "SELECT count(*) AS made, extract(epoch FROM min(at) - clock_timestamp()) + :window AS wait "
            "FROM sync.sync_request, unnest(recent) AS made(at) "
            "WHERE org_id = :org AND at > clock_timestamp() - make_interval(secs => :window)"
        ),
        {"org": org, "window": WINDOW_SECONDS},
    ).one()
    if row.made >= most:
        return max(float(row.wait), 0.001)
    connection.execute(
        text(
            "UPDATE sync.sync_request SET recent = array_append(ARRAY(SELECT at FROM unnest(recent) AS made(at) "
            "WHERE at > clock_timestamp() - make_interval(secs => :window)), clock_timestamp()) WHERE org_id = :org"
        ),
        {"org": org, "window": WINDOW_SECONDS},
    )
    return 0.0
