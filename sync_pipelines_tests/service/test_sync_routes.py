"""The routes of the marketplaces: one cycle for each time of a schedule, one at a time, and what is told of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines_tests.service.running import (
    ADMIN,
    READER,
    SCHEDULER,
    SECRET,
    asking,
    called,
    connect_known,
    end_cycle,
    only_secret,
    rows,
    serving,
)

NOON, LATER = "2026-04-13T12:00:00Z", "2026-04-13T12:15:00Z"
STATUS = "/api/sync/status"


def test_given_a_hundred_calls_with_one_time_at_once_then_there_is_one_cycle(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post(SCHEDULER, headers=called(NOON)) for _ in range(100)))

    answers = asking(engine, work)
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.json()["started"] for answer in answers].count(True) == 1
    assert len({answer.json()["cycleId"] for answer in answers}) == 1
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(1,)]


def test_given_a_hundred_calls_at_several_services_then_there_is_one_cycle(engine: Engine) -> None:
    async def run() -> list[httpx.Response]:
        async with (
            serving(only_secret(), engine) as one,
            serving(only_secret(), engine) as two,
            serving(only_secret(), engine) as three,
        ):
            calls = [client.post(SCHEDULER, headers=called(NOON)) for _ in range(33) for client in (one, two, three)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(run())
    assert [answer.json()["started"] for answer in answers].count(True) == 1
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(1,)]


def test_given_two_times_one_after_the_other_then_there_are_two_cycles(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        first = await client.post(SCHEDULER, headers=called(NOON))
        await in_thread(end_cycle, engine)
        second = await client.post(SCHEDULER, headers=called(LATER))
        return [first.json(), second.json()]

    first, second = asking(engine, work)
    assert [first["started"], second["started"]] == [True, True]
    assert first["cycleId"] != second["cycleId"]


def test_given_a_cycle_under_way_then_the_next_is_refused_politely_and_its_repetition_too(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        await client.post(SCHEDULER, headers=called(NOON))
        refused = await client.post(SCHEDULER, headers=called(LATER))
        await in_thread(end_cycle, engine)
        return [refused, await client.post(SCHEDULER, headers=called(LATER))]

    refused, repeated = asking(engine, work)
    assert refused.status_code == 200
    assert refused.json()["success"] is True
    assert refused.json()["message"] == "A sync cycle is under way; this one was not started"
    assert repeated.json() == refused.json()
    assert rows(engine, "SELECT status FROM sync.sync_cycle ORDER BY id") == [("succeeded",), ("refused",)]


@pytest.mark.parametrize(
    ("job", "time"),
    [
        ("marketplace-sync-scheduler", NOON),
        ("projects/p/locations/europe-west1/jobs/marketplace-sync-scheduler", NOON),
        ("marketplace-sync-scheduler", "2026-04-13T14:00:00+02:00"),
        ("marketplace-sync-scheduler", "2026-04-13t12:00:00.000000000z"),
    ],
)
def test_given_a_time_replayed_by_another_service_later_then_nothing_is_started(
    job: str, time: str, engine: Engine
) -> None:
    async def work(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(SCHEDULER, headers=called(time, job=job))

    asking(engine, lambda client: client.post(SCHEDULER, headers=called(NOON)))
    end_cycle(engine)
    replayed = asking(engine, work)
    assert (replayed.status_code, replayed.json()["started"]) == (202, False)
    assert replayed.json()["message"] == "This sync cycle was started before"
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(1,)]


def test_given_one_time_of_two_jobs_then_these_are_two_things(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> bool:
        await client.post(SCHEDULER, headers=called(NOON, job="one"))
        await in_thread(end_cycle, engine)
        started: bool = (await client.post(SCHEDULER, headers=called(NOON, job="two"))).json()["started"]
        return started

    assert asking(engine, work)


def test_given_no_headers_of_the_scheduler_then_each_call_starts_a_cycle(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[bool]:
        started = []
        for _ in range(2):
            answer = await client.post(SCHEDULER, headers={"x-scheduler-secret": SECRET})
            started.append(answer.status_code == 202 and answer.json()["started"])
            await in_thread(end_cycle, engine)
        return started

    assert asking(engine, work) == [True, True]


def test_given_a_forced_run_that_names_the_next_time_then_the_call_at_that_time_is_not_lost(engine: Engine) -> None:
    upcoming = datetime.now(UTC) + timedelta(minutes=10)

    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.post(SCHEDULER, headers=called(upcoming.isoformat()))).json()["started"]
        await in_thread(end_cycle, engine)
        assert (await client.post(SCHEDULER, headers=called(upcoming.isoformat()))).json()["started"]

    asking(engine, work)
    assert rows(engine, "SELECT schedule_time FROM sync.sync_cycle") == [(None,), (None,)]


@pytest.mark.parametrize("time", ["yesterday", "2026-04-13", "2026-04-13T12:00:00", "2026-13-13T12:00:00Z", "0" * 5000])
def test_given_an_unreadable_time_then_the_call_is_refused(time: str, engine: Engine) -> None:
    answer = asking(engine, lambda client: client.post(SCHEDULER, headers=called(time)))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "X-CloudScheduler-ScheduleTime" in answer.json()["message"]


def test_given_a_huge_body_then_it_is_refused_whether_its_length_is_told_or_not(engine: Engine) -> None:
    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 1000

    async def work(client: httpx.AsyncClient) -> list[int]:
        told = await client.post(SCHEDULER, headers=called(NOON), content=b" " * 40_000)
        untold = await client.post(SCHEDULER, headers=called(NOON), content=chunks())
        fits = await client.post(SCHEDULER, headers=called(NOON), content=b"{not json" * 1000)
        return [told.status_code, untold.status_code, fits.status_code]

    assert asking(engine, work, SYNC_SERVICE_MAX_BODY="20000") == [413, 413, 202]


def test_the_interval_is_started_set_and_stopped(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        await client.post("/api/sync/start", headers=ADMIN)
        await client.post("/api/sync/interval", headers=ADMIN, json={"intervalMinutes": 5})
        on = await client.get(STATUS, headers=READER)
        await client.post("/api/sync/stop", headers=ADMIN)
        return [on.json(), (await client.get(STATUS, headers=READER)).json()]

    on, off = asking(engine, work)
    assert (on["isScheduled"], on["intervalMinutes"]) == (True, 5)
    assert (off["isScheduled"], off["intervalMinutes"]) == (False, 5)
    told = "SELECT entry->>'action', entry->>'by', entry->>'minutes' FROM sync.audit ORDER BY number"
    assert rows(engine, told) == [("interval_set", "admin", minutes) for minutes in ("15", "5", "5")]


@pytest.mark.parametrize(
    "body", [{}, {"intervalMinutes": 0}, {"intervalMinutes": "5"}, {"intervalMinutes": 5, "x": 1}, [5]]
)
def test_given_an_interval_that_is_none_then_it_is_refused(body: Any, engine: Engine) -> None:
    answer = asking(engine, lambda client: client.post("/api/sync/interval", headers=ADMIN, json=body))
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_given_a_trigger_then_a_cycle_of_these_connections_starts_and_another_is_refused(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        wanted = {"connectionIds": ["oslo", "cape-town", "oslo"]}
        return [
            await client.post("/api/sync/trigger", headers=ADMIN, json=wanted),
            await client.post("/api/sync/trigger", headers=ADMIN, json=wanted),
            await client.post("/api/sync/run-full", headers=ADMIN),
        ]

    connect_known(engine)
    first, second, full = asking(engine, work)
    assert first.status_code == 202
    expected = {"success": True, "message": "Sync triggered for 2 connections", "connectionIds": ["oslo", "cape-town"]}
    assert expected.items() <= first.json().items()
    assert [second.status_code, full.status_code] == [409, 409]
    assert first.json()["cycleId"] in second.json()["message"]


def test_given_a_full_run_then_it_says_so(engine: Engine) -> None:
    answer = asking(engine, lambda client: client.post("/api/sync/run-full", headers=ADMIN))
    assert (answer.status_code, answer.json()["message"]) == (202, "Full sync cycle started")


@pytest.mark.parametrize(
    ("wanted", "status"),
    [([], 400), (["atlantis"], 404), (["oslo", "../etc"], 400), (["closed"], 404), ("oslo", 400), (None, 400)],
)
def test_given_a_trigger_of_unknown_connections_then_it_is_refused(wanted: Any, status: int, engine: Engine) -> None:
    connect_known(engine)
    body = {"connectionIds": wanted}
    answer = asking(engine, lambda client: client.post("/api/sync/trigger", headers=ADMIN, json=body))
    assert answer.status_code == status
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(0,)]


@pytest.mark.parametrize("route", ["start", "stop", "interval", "trigger", "run-full"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 401), (READER, 403)],
    ids=["no", "wrong", "reader"],
)
def test_given_no_admin_then_nothing_can_be_changed(
    route: str, headers: dict[str, str], status: int, engine: Engine
) -> None:
    answer = asking(engine, lambda client: client.post(f"/api/sync/{route}", headers=headers))
    assert (answer.status_code, answer.json()["success"]) == (status, False)


def test_status_tells_what_is_under_way_what_failed_and_when_it_last_went_well(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        seen = [(await client.get(STATUS, headers=READER)).json()]
        started = (await client.post("/api/sync/run-full", headers=ADMIN)).json()
        seen.append((await client.get(STATUS, headers=READER)).json())
        await in_thread(end_cycle, engine)
        seen.append((await client.get(STATUS, headers=READER)).json())
        seen.append((await client.get(started["statusUrl"], headers=READER)).json())
        return seen

    connect_known(engine)
    before, during, after, cycle = asking(engine, work)
    assert [(one["connectionId"], one["active"]) for one in before["connections"]] == [
        ("cape-town", True),
        ("closed", False),
        ("oslo", True),
    ]
    expected = {"success": True, "isRunning": False, "isScheduled": False, "intervalMinutes": 15, "lastSyncTime": None}
    assert expected.items() <= before.items()
    assert (during["isRunning"], during["cycles"][0]["status"]) == (True, "accepted")
    assert (after["isRunning"], after["lastError"]) == (False, None)
    assert after["lastSyncTime"] == cycle["endedAt"] is not None
    assert cycle["status"] == "succeeded"


def test_every_answer_has_the_id_of_its_request_and_errors_are_problems(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.get("/healthz", headers={"X-Request-Id": "mine-1"}),
            await client.get("/nothing", headers={"X-Request-Id": "not an id!"}),
            await client.get("/api/sync/cycles/cycle-0", headers=READER),
            await client.get("/readyz"),
        ]

    health, nothing, missing, ready = asking(engine, work)
    assert (health.status_code, health.headers["x-request-id"]) == (200, "mine-1")
    assert ready.json() == {"status": "ok"}
    for answer in (nothing, missing):
        body = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (body["status"], body["title"], body["success"]) == (404, "Not Found", False)
        assert body["requestId"] == answer.headers["x-request-id"] != "not an id!"


def test_given_a_database_that_is_gone_then_it_is_said_without_details(engine: Engine) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        await in_thread(rows_gone, engine)
        return [await client.post(SCHEDULER, headers=called(NOON)), await client.get(STATUS, headers=READER)]

    for answer in asking(engine, work):
        assert answer.status_code == 503
        assert answer.json()["message"] == "The database cannot be used now; try again"


def rows_gone(engine: Engine) -> None:
    """Take the service's table away."""
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sync.sync_cycle")
