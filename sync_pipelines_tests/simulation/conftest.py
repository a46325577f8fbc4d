"""A database by the virtual clock, for all worlds of this test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.simulation.database import SimulationDatabase, simulation_database


@pytest.fixture(scope="session")
def simulation(postgres_server: EmbeddedServer) -> Iterator[SimulationDatabase]:
    """A migrated database in which time is virtual."""
    with simulation_database(postgres_server) as database:
        yield database
