"""What happens to accepted cycles while Dagster cannot be asked, and the service's own interval."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from sync_pipelines.service.settings import ServiceSettings
from sync_pipelines_tests.service.running import ADMIN, READER, end_cycle, only_secret, rows, serving

NOBODY = "http://127.0.0.1:1"
STATUS = "/api/sync/status"


def settings(**variables: str) -> ServiceSettings:
    """Return the settings of a service whose Dagster is not there."""
    return only_secret(SYNC_DAGSTER_URL=NOBODY, **variables)


async def until(client: httpx.AsyncClient, path: str, wanted: Any) -> dict[str, Any]:
    """Ask until the answer is as wanted."""
    for _ in range(600):
        answer: dict[str, Any] = (await client.get(path, headers=READER)).json()
        if wanted(answer):
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(answer)


def test_given_dagster_is_away_then_a_cycle_waits_and_says_why_and_fails_visibly_in_the_end(engine: Engine) -> None:
    async def run() -> list[dict[str, Any]]:
        async with serving(settings(), engine, follows=True) as client:
            started = (await client.post("/api/sync/run-full", headers=ADMIN)).json()
            waiting = await until(client, started["statusUrl"], lambda cycle: cycle["reason"])
        move(engine, "sync_cycle", "requested_at = requested_at - interval '1 hour', next_attempt = NULL")
        async with serving(settings(), engine, follows=True) as client:
            failed = await until(client, started["statusUrl"], lambda cycle: cycle["status"] == "failed")
            return [waiting, failed, (await client.get(STATUS, headers=READER)).json()]

    waiting, failed, status = asyncio.run(run())
    assert (waiting["status"], waiting["runId"]) == ("accepted", None)
    assert NOBODY in waiting["reason"]
    assert failed["reason"].startswith("its run could not be started: ")
    assert (status["isRunning"], status["lastError"]) == (False, failed["reason"])
    assert NOBODY in status["problem"]


def test_given_an_interval_is_on_then_each_time_of_it_starts_one_cycle_whatever_number_of_services(
    engine: Engine,
) -> None:
    async def run() -> None:
        async with serving(settings(), engine, follows=True) as one, serving(settings(), engine, follows=True) as two:
            await one.post("/api/sync/interval", headers=ADMIN, json={"intervalMinutes": 60})
            await one.post("/api/sync/start", headers=ADMIN)
            for _ in range(2):
                with engine.begin() as connection:
                    connection.execute(
                        text("UPDATE sync.sync_interval SET on_since = on_since - interval '61 minutes'")
                    )
                await until(two, STATUS, lambda status: status["isRunning"])
                end_cycle(engine)

    asyncio.run(run())
    found = rows(engine, "SELECT source, job_name, schedule_time FROM sync.sync_cycle ORDER BY id")
    assert [row[:2] for row in found] == [("interval", "interval")] * 2
    times: list[datetime] = [row[2] for row in found]
    assert len(set(times)) == 2


@pytest.mark.parametrize("is_on", [True, False])
def test_given_a_time_of_the_interval_was_missed_or_it_is_off_then_nothing_is_started(
    is_on: bool, engine: Engine
) -> None:
    ago = 100 if is_on else 61
    move(engine, "sync_interval", f"is_on = {is_on}, minutes = 60, on_since = now() - interval '{ago} minutes'")

    async def run() -> None:
        async with serving(settings(), engine, follows=True) as client:
            await until(client, STATUS, lambda status: status["problem"])

    asyncio.run(run())
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(0,)]


def move(engine: Engine, table: str, change: str) -> None:
    """Let time pass."""
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE sync.{table} SET {change}"))
