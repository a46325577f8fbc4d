"""Fresh databases on a test process's server, copied from a template and dropped afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer

_numbers = itertools.count(1)
_COPIES_FILES = 150_000
"""From this version on, PostgreSQL writes a copy to its log block by block unless told to copy the files, as before."""


@contextmanager
def fresh_database(server: EmbeddedServer, template: str) -> Iterator[str]:
    """Give the name of a copy of a database until the block is left."""
    name = f"test_{next(_numbers)}"
    with server.connect() as connection:
        strategy = " STRATEGY FILE_COPY" if connection.info.server_version >= _COPIES_FILES else ""
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}')
    yield name
    with server.connect() as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def fresh_engine(server: EmbeddedServer, template: str) -> Iterator[Engine]:
    """Give an engine on a copy of a database until the block is left."""
    with fresh_database(server, template) as name:
        engine = connect_engine(server.url(name))
        try:
            yield engine
        finally:
            engine.dispose()
