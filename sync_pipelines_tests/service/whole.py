"""The whole service: its process, a Dagster webserver, and Google's keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from sync_pipelines.cli import process_groups
from sync_pipelines_tests.end_to_end.services import PROJECT, free_port, start, wait_for
from sync_pipelines_tests.service.google import Google
from sync_pipelines_tests.service.location import GATE
from sync_pipelines_tests.service.running import READER, environment

OVER = ("succeeded", "failed", "canceled")
LOCATION = "tests"


@dataclass
class Whole:
    """What runs.

    Attributes:
        gate: while this file is there, cycles go on.
        dagster: URL of the webserver.
    """

    client: httpx.Client
    database_url: str
    variables: dict[str, str]
    gate: Path
    dagster: str
    folder: Path

    def status(self) -> dict[str, Any]:
        """What the status route tells."""
        answer: dict[str, Any] = self.client.get("/api/sync/status", headers=READER).raise_for_status().json()
        return answer

    def ended(self, started: dict[str, Any]) -> dict[str, Any]:
        """Follow a cycle to its end."""

        def look() -> dict[str, Any] | None:
            cycle: dict[str, Any] = self.client.get(started["statusUrl"], headers=READER).raise_for_status().json()
            return cycle if cycle["status"] in OVER else None

        try:
            found = wait_for(look, seconds=120, what="the cycle ends")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.runs()}\n{self.logs()}") from None
        assert found is not None
        return found

    def logs(self) -> str:
        """Return the ends of the logs, for the message of a failing test."""
        return "\n".join(log.read_text(encoding="utf-8")[-3000:] for log in sorted(self.folder.glob("*.log")))

    def runs(self) -> list[dict[str, Any]]:
        """The runs that Dagster has, newest first."""
        query = "{ runsOrError { ... on Runs { results { runId status } } } }"
        answer = httpx.post(f"{self.dagster}/graphql", json={"query": query}, timeout=60).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["runsOrError"]["results"]
        return found


@contextmanager
def running_whole(folder: Path, database_url: str, module: str, others: Mapping[str, str]) -> Iterator[Whole]:
    """Run a service, Google's keys, and a webserver that launches runs itself, until the block ends.

    Arguments:
        module: of the definitions.
        others: more variables of both processes.
    """
    storage = {"module": "sync_pipelines.orchestration.storage", "class": "SyncStorage", "config": {}}
    # Without a queue, the webserver launches runs by itself and no daemon is needed.
    at_once = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    settings = {"storage": {"custom": storage}, "run_coordinator": at_once, "telemetry": {"enabled": False}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    workspace = folder / "workspace.yaml"
    location = {"python_module": {"module_name": module, "location_name": LOCATION}}
    workspace.write_text(yaml.safe_dump({"load_from": [location]}))
    port = free_port()
    with Google().running() as google:
        variables = environment(google, SYNC_DAGSTER_URL=f"http://127.0.0.1:{port}", SYNC_DAGSTER_LOCATION=LOCATION)
        variables |= {"SYNC_DATABASE_URL": database_url, "DAGSTER_HOME": str(folder), "SYNC_HOME": str(folder / "home")}
        variables |= {"PYTHONPATH": str(PROJECT), "PATH": str(Path(sys.executable).parent), **others}
        web = ["-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)]
        webserver = start([sys.executable, "-m", "dagster_webserver", *web], variables, folder / "webserver.log")
        try:
            with (
                running_service(variables, folder) as (_, address),
                httpx.Client(base_url=address, timeout=30) as client,
            ):
                # What is asked for before Dagster is up waits for it.
                yield Whole(client, database_url, variables, folder / GATE, f"http://127.0.0.1:{port}", folder)
        finally:
            process_groups.end([webserver.pid], grace_seconds=15)
            webserver.wait()


@contextmanager
def running_service(variables: dict[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``sync-pipelines serve`` until the block ends, and give its process and address."""
    with (folder / "service.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sync_pipelines.cli", "serve", "--port", "0", "--verbose"],
            cwd=PROJECT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate(timeout=60)
