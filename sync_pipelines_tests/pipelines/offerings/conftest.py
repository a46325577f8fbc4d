"""Fixtures: an empty market, over real HTTP and a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from sync_pipelines.sandbox.cometbft import ChainWorld
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.offerings.market import Market, opened_market, small_waldur


@pytest.fixture
def market(engine: Engine) -> Iterator[Market]:
    """A chain and a Waldur server without offerings."""
    with opened_market(engine, ChainWorld(), small_waldur()) as market:
        yield market


@pytest.fixture(scope="module")
def module_engine(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """An engine on a migrated database that the tests of one module share."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        yield engine


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """A Dagster instance in memory."""
    with DagsterInstance.ephemeral() as instance:
        yield instance
