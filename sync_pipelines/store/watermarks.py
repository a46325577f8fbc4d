"""Watermarks: how far a stream was read. Moved only in the transaction that stores what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from sync_pipelines.core.canonical import canonical_json


def read(connection: Connection, stream: str) -> dict[str, Any] | None:
    """Return the position of a stream, ``None`` before the first move."""
    position: dict[str, Any] | None = connection.execute(
        text("SELECT position FROM sync.watermark WHERE stream = :stream"), {"stream": stream}
    ).scalar()
    return position


def move(connection: Connection, stream: str, position: Mapping[str, Any]) -> None:
    """Set the position of a stream within the current transaction."""
    connection.execute(
        text(
            "INSERT INTO sync.watermark (stream, position) VALUES (:stream, CAST(:position AS jsonb)) "
            "ON CONFLICT (stream) DO UPDATE SET position = EXCLUDED.position, moved_at = now()"
        ),
        {"stream": stream, "position": canonical_json(position)},
    )
