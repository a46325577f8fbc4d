"""The inbox of webhooks: which records a shop said had changed, until a run has looked at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.store.statements import statement, text

KEPT_DAYS = 30
"""How long what was handled is remembered, so that it is recognized when it comes again."""
PAUSE_SECONDS = 60.0
"""Before deliveries are taken again whose run did not get to the end. Doubles with every attempt."""
LONGEST_PAUSE_SECONDS = 3600.0
MOST_TAKEN = 5_000
"""By one run."""

Names = Mapping[str, Sequence[str]]
"""Entity -> keys of records."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that a run has taken."""

    id: int
    names: Names


def put(connection: Connection, shop: str, delivery: str, topic: str, names: Names) -> bool:
    """Store a delivery. Returns whether it is a new one.

    Arguments:
        shop: name of the connection.
        delivery: tells it from all others of the shop.
    """
    stored = connection.execute(
        text(
            "INSERT INTO sync.sync_webhook_inbox (connection, delivery, topic, names) "
            "VALUES (:shop, :delivery, :topic, CAST(:names AS jsonb)) ON CONFLICT (connection, delivery) DO NOTHING"
        ),
        {"shop": shop, "delivery": delivery, "topic": topic, "names": canonical_json(names)},
    )
    return stored.rowcount == 1


def due(connection: Connection, shops: Sequence[str]) -> dict[str, int]:
    """Return the shops with deliveries that a run should take now, and how many those are."""
    rows = connection.execute(
        text(statement("webhook_inbox_due")),
        {"connections": list(shops), "pause": PAUSE_SECONDS, "longest": LONGEST_PAUSE_SECONDS},
    )
    return {row.connection: row.deliveries for row in rows}


def take(connection: Connection, shop: str, run_id: str) -> list[Taken]:
    """Take the unhandled deliveries of a shop, and forget those that were handled long ago."""
    connection.execute(
        text("DELETE FROM sync.sync_webhook_inbox WHERE handled_at < now() - make_interval(days => :days)"),
        {"days": KEPT_DAYS},
    )
    rows = connection.execute(
        text(statement("webhook_inbox_take")), {"connection": shop, "run": run_id, "most": MOST_TAKEN}
    )
    return [Taken(row.id, row.names) for row in rows]


def mark_handled(connection: Connection, ids: Sequence[int]) -> None:
    """Note that all that some deliveries name was looked at."""
    connection.execute(
        text(
            "UPDATE sync.sync_webhook_inbox SET handled_at = clock_timestamp() WHERE id = ANY (CAST(:ids AS bigint[]))"
        ),
        {"ids": list(ids)},
    )
