"""``dagster dev`` in the project folder needs no environment at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.end_to_end.services import PROJECT, answers, free_port, wait_for


def test_given_no_dagster_home_then_the_ui_serves_on_the_project_s_own_settings(
    tmp_path: Path, postgres_server: EmbeddedServer
) -> None:
    postgres_server.ensure_database("dev")
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment |= {"SYNC_HOME": str(tmp_path / "home"), "SYNC_DATABASE_URL": postgres_server.url("dev")}
    port = free_port()
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}"), seconds=120, what=(tmp_path / "log").read_text())
        query = {"query": "query { workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"}
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=query, timeout=60).json()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    (location,) = answer["data"]["workspaceOrError"]["locationEntries"]
    assert (location["name"], location["loadStatus"]) == ("sync_pipelines", "LOADED")
    with postgres_server.connect("dev") as connection:
        assert connection.execute("SELECT to_regclass('public.event_logs')").fetchone() != (None,)
