"""A running replica with a small ledger, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld


@pytest.fixture
def standin() -> InternetComputerStandIn:
    """Give a replica with a ledger of six blocks, cut into chunks of 500 bytes."""
    return InternetComputerStandIn(LedgerWorld.grown(6), chunk=500)


@pytest.fixture
def client(standin: InternetComputerStandIn) -> Iterator[httpx.Client]:
    """Give a client of the running stand-in."""
    with standin.running() as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client
