"""Real Dagster services for tests: the webserver and the daemon on the shipped dagster.yaml and workspace.yaml."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from sync_pipelines.cli import process_groups

PROJECT = Path(__file__).parents[2]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Services:
    """A running webserver and daemon."""

    url: str
    environment: dict[str, str]
    logs: Path

    def query(self, document: str, **variables: Any) -> Any:
        """Ask the webserver's GraphQL API."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": document, "variables": variables}, timeout=60)
        body = answer.raise_for_status().json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def story(self) -> str:
        """Return the ends of the services' logs, for the message of a failing test."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.logs.iterdir()))


def wait_for(look: Callable[[], _T], *, seconds: float, what: str, services: Services | None = None) -> _T:
    """Look until something true is seen.

    Raises:
        AssertionError: it was not seen in time.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}\n{services.story() if services else ''}")
        time.sleep(0.5)
    return seen


@contextmanager
def running_services(folder: Path, environment: dict[str, str]) -> Iterator[Services]:
    """Run both services until the block ends.

    Arguments:
        folder: for logs and the project's data (``SYNC_HOME``).
        environment: added to this process's own.
    """
    logs = folder / "logs"
    logs.mkdir()
    port = free_port()
    full = os.environ | {"SYNC_HOME": str(folder / "home"), "DAGSTER_HOME": str(PROJECT)} | environment
    scripts = Path(sys.executable).parent
    commands = {
        "webserver": [str(scripts / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)],
        "daemon": [str(scripts / "dagster-daemon"), "run"],
    }
    processes = [start(command, full, logs / f"{name}.log") for name, command in commands.items()]
    services = Services(f"http://127.0.0.1:{port}", full, logs)
    try:
        wait_for(lambda: answers(services.url), seconds=90, what="the webserver answers", services=services)
        yield services
    finally:
        # With the code servers and runs that they started.
        process_groups.end([process.pid for process in processes], grace_seconds=15)
        for process in processes:
            process.wait()


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a service in a process group of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def answers(url: str) -> bool:
    """Say whether a webserver answers."""
    try:
        return httpx.get(f"{url}/server_info", timeout=2).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
