"""Plans and dead letters over HTTP: shown to the organization whose they are, and to no other."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.access import Scope
from sync_pipelines.settings import NamedConnection
from sync_pipelines.store import access_tokens
from sync_pipelines_tests.service.running import only_secret, serving

HASH = "0123456789abcdef0123456789abcdef"
PAIRS = {"offerings": [NamedConnection(name="nordlys", organization="acme"), NamedConnection(name="kumo")]}


def given_a_plan(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH s AS (INSERT INTO sync.scope (pair, name) VALUES ('offerings', 'nordlys') RETURNING id), "
                "t AS (INSERT INTO sync.snapshot (scope_id, side, selective, run_id, started_at, records, identity, "
                "complete) SELECT id, 'left', false, 'r', now(), 0, '', true FROM s RETURNING id) "
                "INSERT INTO sync.plan (scope_id, hash, state, run_id, left_snapshot, right_snapshot, counts) "
                "SELECT s.id, :hash, 'held', 'r', t.id, t.id, '{}' FROM s, t"
            ),
            {"hash": HASH},
        )


@pytest.mark.parametrize(("organization", "sees"), [("acme", True), (None, True), ("default", False), ("x", False)])
def test_given_a_plan_then_it_exists_for_its_organization_alone(
    organization: str | None, sees: bool, engine: Engine
) -> None:
    given_a_plan(engine)
    with engine.begin() as connection:
        _, token = access_tokens.create(connection, "a", organization, [Scope.READ], expires_at=None, by="test")

    async def run() -> list[httpx.Response]:
        async with serving(only_secret(), engine, pairs=PAIRS) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            paths = ("plans", f"plans/{HASH}", f"plans/{HASH[:8]}", f"plans/{'f' * 32}", "dead-letters")
            return [await client.get(f"/api/v1/{path}") for path in paths]

    listed, shown, short, unknown, letters = asyncio.run(run())
    assert [one["hash"] for one in listed.json()["plans"]] == ([HASH] if sees else [])
    assert shown.status_code == (200 if sees else 404)
    assert [short.status_code, unknown.status_code, letters.status_code] == [400, 404, 200]
    if not sees:
        assert shown.json()["message"] == unknown.json()["message"]
