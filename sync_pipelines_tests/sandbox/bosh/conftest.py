"""A running Director with a few deployments, and a client that is logged in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sync_pipelines.sandbox.bosh import DirectorStandIn, DirectorWorld

ADMIN = ("admin", "admin")


@pytest.fixture
def standin() -> DirectorStandIn:
    """Give a Director with two deployments, the second of team dba."""
    world = DirectorWorld()
    world.add_user(*ADMIN)
    world.deploy("plain", "---\nname: plain\n", releases=(("redis", "1"), ("redis", "2")))
    world.deploy("of-dba", "---\nname: of-dba\n", teams=("dba",))
    return DirectorStandIn(world)


@pytest.fixture
def client(standin: DirectorStandIn) -> Iterator[httpx.Client]:
    """Give a client of the running stand-in."""
    with standin.running() as url, httpx.Client(base_url=url, auth=ADMIN, timeout=10) as client:
        yield client
