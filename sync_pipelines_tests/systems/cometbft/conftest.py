"""Fixtures: an almost empty chain, and the demo's chain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_pipelines.sandbox.cometbft import ChainWorld
from sync_pipelines_tests.systems.cometbft.node import Node, running


@pytest.fixture
def node() -> Iterator[Node]:
    """A node of a chain without offerings."""
    with running(ChainWorld()) as node:
        yield node


@pytest.fixture(scope="module")
def demo() -> Iterator[Node]:
    """A node of the demo's chain; for reading only."""
    with running(ChainWorld.from_demo()) as node:
        yield node
