"""``dagster dev`` in the project folder needs no environment at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sync_pipelines.cli import process_groups
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.end_to_end.services import Services, answers, free_port, start, wait_for

_LOCATIONS = "query { workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"


@pytest.mark.long
def test_given_no_dagster_home_then_the_ui_serves_on_the_project_s_own_settings(
    tmp_path: Path, postgres_server: EmbeddedServer
) -> None:
    postgres_server.ensure_database("dev")
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment |= {"SYNC_HOME": str(tmp_path / "home"), "SYNC_DATABASE_URL": postgres_server.url("dev")}
    port = free_port()
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    logs = tmp_path / "logs"
    logs.mkdir()
    process = start(command, environment, logs / "dagster-dev.log")
    services = Services(f"http://127.0.0.1:{port}", environment, logs)
    try:
        wait_for(lambda: answers(services.url), seconds=120, what="the UI answers", services=services)
        answer = services.query(
            "query { workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
        )
    finally:
        process_groups.end([process.pid], grace_seconds=30)
        process.wait()
    (location,) = answer["workspaceOrError"]["locationEntries"]
    assert (location["name"], location["loadStatus"]) == ("sync_pipelines", "LOADED")
    with postgres_server.connect("dev") as connection:
        assert connection.execute("SELECT to_regclass('public.event_logs')").fetchone() != (None,)
