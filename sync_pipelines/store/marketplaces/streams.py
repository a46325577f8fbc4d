"""How far each stream of a connection was read, and how its last reading ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.core.marketplace_port import Watermark
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.store.marketplaces.rows import json_text
from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as it stands.

    Attributes:
        watermark: ``None`` before the first page was stored.
        moved_at: when the watermark was moved last.
        read_at: when the stream was read without an error last.
        waits: why the last run left something to the next one.
        last_error: how the last run failed; ``None`` when it did not.
    """

    watermark: Watermark | None
    moved_at: datetime | None
    read_at: datetime | None
    waits: str | None
    last_error: str | None


def read(connection: Connection, connection_id: int, stream: Stream) -> StreamState:
    """Return a stream's state, an empty one when it was never read."""
    row = connection.execute(
        text(
            "SELECT state, through, moved_at, read_at, waits, last_error FROM sync.marketplace_stream "
            "WHERE connection_id = :connection_id AND stream = :stream"
        ),
        {"connection_id": connection_id, "stream": stream.value},
    ).one_or_none()
    if row is None:
        return StreamState(None, None, None, None, None)
    watermark = None if row.state is None else Watermark(row.state, row.through)
    return StreamState(watermark, row.moved_at, row.read_at, row.waits, row.last_error)


def move(connection: Connection, connection_id: int, stream: Stream, watermark: Watermark) -> None:
    """Set the watermark within the transaction that stores what it covers."""
    connection.execute(
        text(
            "INSERT INTO sync.marketplace_stream AS s (connection_id, stream, state, through, moved_at) "
            "VALUES (:connection_id, :stream, CAST(:state AS jsonb), :through, now()) "
            "ON CONFLICT (connection_id, stream) DO UPDATE "
            "SET state = EXCLUDED.state, through = EXCLUDED.through, moved_at = EXCLUDED.moved_at"
        ),
        {
            "connection_id": connection_id,
            "stream": stream.value,
            "state": json_text(watermark.state),
            "through": watermark.through,
        },
    )


def ended(
    connection: Connection, connection_id: int, stream: Stream, *, error: str | None = None, waits: str | None = None
) -> None:
    """Note how reading a stream ended: well, for the time being, or with an error."""
    connection.execute(
        text(
            "INSERT INTO sync.marketplace_stream AS s (connection_id, stream, read_at, waits, last_error, failed_at) "
            "VALUES (:connection_id, :stream, CASE WHEN CAST(:error AS text) IS NULL THEN clock_timestamp() END, "
            ":waits, :error, CASE WHEN CAST(:error AS text) IS NOT NULL THEN clock_timestamp() END) "
            "ON CONFLICT (connection_id, stream) DO UPDATE SET read_at = coalesce(EXCLUDED.read_at, s.read_at), "
            "waits = EXCLUDED.waits, last_error = EXCLUDED.last_error, "
            "failed_at = coalesce(EXCLUDED.failed_at, s.failed_at)"
        ),
        {"connection_id": connection_id, "stream": stream.value, "error": error, "waits": waits},
    )


def restart(connection: Connection, connection_id: int, stream: Stream) -> None:
    """Forget how far a stream was read: the next run reads everything that the marketplace still tells of."""
    connection.execute(
        text(
            "UPDATE sync.marketplace_stream SET state = NULL, through = NULL, moved_at = NULL "
            "WHERE connection_id = :connection_id AND stream = :stream"
        ),
        {"connection_id": connection_id, "stream": stream.value},
    )
