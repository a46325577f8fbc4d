"""The pipeline's own client reads the stand-in, with a password and with tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER, DirectorStandIn, UaaWorld
from sync_pipelines.sandbox.bosh.faults import scopes_lost
from sync_pipelines.sandbox.bosh.seeds import DEMO_CREATED_AT, DEMO_UPDATED_AT
from sync_pipelines.systems.bosh import BoshClient, BoshSession, ClientLogin, UserLogin

BUSY = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"
HA = "redis-cache-small-ha-6301bbfc-a0c5-454e-8ff9-bb510944fe0c"
LOGINS = [
    pytest.param(False, UserLogin(DEMO_USER, DEMO_PASSWORD), id="password"),
    pytest.param(True, ClientLogin(DEMO_USER, DEMO_PASSWORD), id="client at the UAA"),
    pytest.param(True, UserLogin("ada", "pass word"), id="user at the UAA"),
]


@pytest.mark.parametrize(("has_uaa", "login"), LOGINS)
def test_given_the_demo_when_read_then_everything_is_there(has_uaa: bool, login: Any) -> None:
    uaa = UaaWorld() if has_uaa else None
    standin = DirectorStandIn.demo(uaa=uaa)
    if uaa is not None:
        uaa.add_user("ada", "pass word", "bosh.read")

    async def read(url: str) -> None:
        async with BoshSession(url, login) as session:
            client = BoshClient(session)
            listed = await client.deployments()
            assert len(listed.entries) == 14
            assert listed.scope.sees_everything
            life = await client.life_of(BUSY)
            assert (life.created_at, life.updated_at) == (DEMO_CREATED_AT, DEMO_UPDATED_AT)
            assert await client.manifest("blacksmith") is None
            assert len(await client.vms(HA)) == len(await client.vms_full(HA)) == 3
            assert not await client.is_present("gone")

    with standin.running() as url:
        asyncio.run(read(url))
    assert standin.world.writes == []


def test_given_scopes_that_get_lost_when_listed_again_then_the_client_no_longer_sees_everything() -> None:
    standin = DirectorStandIn.demo(uaa=UaaWorld())
    scopes_lost(standin.world, DEMO_USER, "bosh.teams.dba.admin")

    async def read(url: str) -> list[tuple[int, bool]]:
        async with BoshSession(url, ClientLogin(DEMO_USER, DEMO_PASSWORD)) as session:
            lists = [await BoshClient(session).deployments() for _ in range(2)]
            return [(len(listed.entries), listed.scope.sees_everything) for listed in lists]

    with standin.running() as url:
        assert asyncio.run(read(url)) == [(14, True), (1, False)]
