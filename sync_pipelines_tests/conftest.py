"""A real PostgreSQL for the tests: one embedded server per test process, one fresh database per test.

A check that is the same for every pipeline runs for one of them in ``make test``, and for all in ``make test-all``. So
does every sixth entry of the tables of faults and random worlds.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer, ensure_running, stop
from sync_pipelines.store.migrations import migrate
from sync_pipelines_tests.conformance.registry import REGISTERED
from sync_pipelines_tests.databases import fresh_database

_TEMPLATE = "migrated"
_TABLES = ("faults/test_faults.py", "simulation/test_random_worlds", "marketplaces/test_read_faults.py")
_EVERY = 6


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the pipelines take turns: of the same check for several of them, mark all but one as ``long``.

    Whose turn it is depends on the check's name alone, so that every pipeline gets its share, always the same. Of long
    tables of the same kind, a part is taken in the same way.
    """
    alike: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if any(table in item.nodeid for table in _TABLES) and zlib.crc32(item.nodeid.encode()) % _EVERY:
            item.add_marker(pytest.mark.long)
        if (pipeline := _pipeline_of(item)) is not None:
            alike[item.nodeid.replace(pipeline, "*")].append(item)
    for check, ones in alike.items():
        turn = zlib.crc32(check.encode()) % len(ones)
        for place, item in enumerate(ones):
            if place != turn:
                item.add_marker(pytest.mark.long)


def _pipeline_of(item: pytest.Item) -> str | None:
    """Return the name of the registered pipeline that a test is run for."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    for value in parameters.values():
        registration = getattr(value, "registration", value)
        if registration in REGISTERED:
            return registration.name
    return None


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """An embedded server of this test process, not durable."""
    folder = tmp_path_factory.mktemp("postgres")
    yield ensure_running(folder, durable=False)
    stop(folder)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedServer) -> str:
    """Name of a database that has all migrations and no data."""
    postgres_server.ensure_database(_TEMPLATE)
    engine = connect_engine(postgres_server.url(_TEMPLATE))
    migrate(engine)
    engine.dispose()
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    """URL of a migrated database of the test's own."""
    with fresh_database(postgres_server, migrated_template) as name:
        yield postgres_server.url(name)


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedServer) -> Iterator[str]:
    """URL of a database without any tables."""
    with fresh_database(postgres_server, "template1") as name:
        yield postgres_server.url(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on the test's own migrated database."""
    engine = connect_engine(database_url)
    yield engine
    engine.dispose()
