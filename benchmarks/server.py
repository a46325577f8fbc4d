"""The PostgreSQL that a benchmark measures against: embedded, in a temporary folder, durable as in production."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer, ensure_running, stop
from sync_pipelines.store.migrations import migrate


@contextmanager
def fresh_server() -> Iterator[EmbeddedServer]:
    """A server of its own, gone with its data after the block."""
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as folder:
        place = Path(folder) / "postgres"
        try:
            yield ensure_running(place, durable=True)
        finally:
            stop(place)


@contextmanager
def fresh_database(server: EmbeddedServer, name: str = "bench") -> Iterator[Engine]:
    """An engine on a new database with all migrations."""
    server.ensure_database(name)
    engine = connect_engine(server.url(name))
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()
