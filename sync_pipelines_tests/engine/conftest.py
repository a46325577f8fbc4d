"""The engine's database, with two sides in memory."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sync_pipelines_tests.engine.worlds import World


@pytest.fixture
def world(engine: Engine) -> World:
    """An empty world."""
    return World(engine)
