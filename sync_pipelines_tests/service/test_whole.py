"""The whole way: a real service process, a real Dagster webserver, real runs, and the status that follows them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sync_pipelines.orchestration.dagster_ui import DagsterUi
from sync_pipelines.service.settings import CYCLE_JOB
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.marketplaces import connections
from sync_pipelines.store.marketplaces.connections import Described
from sync_pipelines_tests.databases import fresh_database
from sync_pipelines_tests.end_to_end.services import PROJECT, wait_for
from sync_pipelines_tests.service.running import (
    ADMIN,
    SCHEDULER,
    connect_known,
    good_call,
)
from sync_pipelines_tests.service.whole import LOCATION, Whole, running_service, running_whole

pytestmark = pytest.mark.long

NOON, LATER, EVENING = (f"2026-04-13T{time}:00Z" for time in ("12:00", "12:15", "18:00"))


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedServer, migrated_template: str
) -> Iterator[Whole]:
    """A service whose Dagster has a job in the place of the cycle."""
    with fresh_database(postgres_server, migrated_template) as name:
        url = postgres_server.url(name)
        engine = connect_engine(url)
        connect_known(engine)
        engine.dispose()
        module = "sync_pipelines_tests.service.location"
        with running_whole(tmp_path_factory.mktemp("whole"), url, module, {}) as whole:
            yield whole


def test_given_a_call_before_dagster_is_up_then_its_run_starts_later_and_is_followed_to_the_end(whole: Whole) -> None:
    answer = whole.client.post(SCHEDULER, headers=good_call(NOON))
    assert (answer.status_code, answer.json()["started"]) == (202, True)
    cycle = whole.ended(answer.json())
    assert (cycle["status"], cycle["reason"], cycle["scheduleTime"]) == ("succeeded", None, NOON)
    status = whole.status()
    assert (status["isRunning"], status["lastError"]) == (False, None)
    assert status["lastSyncTime"] == cycle["endedAt"]
    assert [run["runId"] for run in whole.runs()] == [cycle["runId"]]


def test_given_a_hundred_calls_at_once_and_a_cycle_that_goes_on_then_one_run_and_polite_refusals(whole: Whole) -> None:
    before = len(whole.runs())
    whole.gate.touch()
    headers = good_call(LATER)
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: whole.client.post(SCHEDULER, headers=headers), range(100)))
    assert {answer.status_code for answer in answers} == {202}
    (started,) = [answer.json() for answer in answers if answer.json()["started"]]
    wait_for(lambda: whole.status()["cycles"][0]["status"] == "launched", seconds=60, what="the run is launched")

    overlapping = whole.client.post(SCHEDULER, headers=good_call(EVENING))
    assert (overlapping.status_code, overlapping.json()["started"]) == (200, False)
    assert whole.client.post("/api/sync/run-full", headers=ADMIN).status_code == 409
    assert whole.status()["isRunning"] is True

    whole.gate.unlink()
    assert whole.ended(started)["status"] == "succeeded"
    assert len(whole.runs()) == before + 1


def test_given_a_run_that_fails_then_status_tells_why_without_secrets(whole: Whole) -> None:
    engine = connect_engine(whole.database_url)
    with engine.begin() as connection:
        connections.register(connection, [Described("broken", "acme", "woocommerce", "broken", True)])
    engine.dispose()
    answer = whole.client.post("/api/sync/trigger", headers=ADMIN, json={"connectionIds": ["broken"]})
    assert answer.status_code == 202
    cycle = whole.ended(answer.json())
    assert (cycle["status"], cycle["reason"]) == ("failed", "RuntimeError: the marketplace is closed, token=***")
    assert whole.status()["lastError"] == cycle["reason"]
    assert whole.runs()[0]["status"] == "FAILURE"


def test_given_a_run_that_dagster_started_itself_then_status_follows_it_and_nothing_overlaps_it(whole: Whole) -> None:
    whole.gate.touch()
    ui = DagsterUi(whole.dagster, location=LOCATION)
    run_id = ui.launch(CYCLE_JOB, None, {})
    ui.close()
    wait_for(lambda: whole.status()["isRunning"], seconds=60, what="the run is noticed")
    assert whole.client.post("/api/sync/run-full", headers=ADMIN).status_code == 409
    whole.gate.unlink()
    wait_for(lambda: not whole.status()["isRunning"], seconds=60, what="its end is noticed")
    latest = whole.status()["cycles"][0]
    assert (latest["runId"], latest["source"], latest["status"]) == (run_id, "dagster", "succeeded")


def test_given_the_service_is_stopped_and_started_while_a_run_goes_on_then_its_end_is_known(whole: Whole) -> None:
    whole.gate.touch()
    # Another service: the first one has the lease and does the work for both.
    with running_service(whole.variables, whole.folder) as (process, address):
        started = httpx.post(f"{address}/api/sync/run-full", headers=ADMIN, timeout=30).json()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    whole.gate.unlink()
    assert whole.ended(started)["status"] == "succeeded"


def test_given_a_signal_while_a_call_is_under_way_then_it_is_answered_first(whole: Whole) -> None:
    with (
        running_service(whole.variables, whole.folder) as (process, address),
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as caller,
    ):
        head = "".join(f"{name}: {value}\r\n" for name, value in good_call(NOON).items())
        caller.sendall(f"POST {SCHEDULER} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{head}\r\n{{".encode())
        assert httpx.get(f"{address}/healthz", timeout=30).status_code == 200
        process.terminate()
        caller.sendall(b"}")
        assert caller.recv(100).startswith(b"HTTP/1.1 202 ")
        assert process.wait(60) == 0


def test_given_the_authentication_is_to_be_skipped_in_production_then_the_service_does_not_start(whole: Whole) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sync_pipelines.cli", "serve", "--port", "0"],
        cwd=PROJECT,
        env=whole.variables | {"SKIP_SCHEDULER_AUTH": "true", "ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "SKIP_SCHEDULER_AUTH" in done.stderr
