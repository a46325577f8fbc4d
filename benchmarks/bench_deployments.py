"""What a reconcile of many deployments costs: everything new in Vault, then twice unchanged, through the Dagster job.

``python -m benchmarks.bench_deployments`` starts an embedded PostgreSQL, a Director stand-in that answers 5 ms late and
a real OpenBao in processes of their own, runs the job in one process each time on the shipped ``dagster.yaml``, and
prints what :func:`measure` returns as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dagster import DagsterInstance, Definitions, in_process_executor
from dagster._core.instance.ref import InstanceRef
from sqlalchemy import text

from benchmarks.deployments_peers import NAME, Peers, connection, running
from benchmarks.measure import peak_memory
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.deployments.definitions import definitions_of
from sync_pipelines.store import plans
from sync_pipelines.store.database import SYNC_VARIABLE, connect_engine
from sync_pipelines.systems import bosh
from sync_pipelines.systems.transport import Transport
from sync_pipelines.systems.vault.paths import PEER as VAULT

DEPLOYMENTS = 1_000
MANY = 10_000
RUNS = 3
PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the job.

    Attributes:
        changes: what the plan held; 0 in an unchanged run.
        seconds: from launch to end.
        cpu_seconds: of the run's process in that time.
        memory: the most that the process ever had, in MB.
        event_rows: rows of the run in Dagster's event log.
        director_requests, vault_requests, vault_writes: what was asked.
    """

    deployments: int
    changes: int
    seconds: float
    cpu_seconds: float
    memory: float
    event_rows: int
    director_requests: int
    vault_requests: int
    vault_writes: int


class Requests:
    """Counts what is sent, by peer and method."""

    def __init__(self) -> None:
        self.by_kind: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count every request of this process for the time of the block."""
        send = Transport._send

        async def counting(transport: Transport, operation: str, request: Any, *args: Any) -> Any:
            self.by_kind[transport.peer, request.method] += 1
            return await send(transport, operation, request, *args)

        with patch.object(Transport, "_send", counting):
            yield

    def of(self, peer: str, *, without: tuple[str, ...] = ()) -> int:
        """Return the number of requests to a peer."""
        return sum(n for (name, method), n in self.by_kind.items() if name == peer and method not in without)


def measure(deployments: int = DEPLOYMENTS, runs: int = RUNS, many: int = MANY) -> dict[str, object]:
    """Reconcile everything as new, then unchanged; then the same with many deployments for the memory."""
    first, unchanged, plain = _measured(deployments, runs)
    best = min(unchanged, key=lambda one: one["seconds"])
    found: dict[str, object] = {"cold": first, "unchanged": unchanged, "best": best, "without_scan": plain}
    if many:
        cold, (again,), _ = _measured(many, 1)
        found |= {"many_cold": cold, "many_unchanged": again}
    return found


def _measured(deployments: int, runs: int) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Return the first run, the unchanged ones, and one with a token that may not scan, as with a plain Vault."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_server() as server,
        fresh_database(server),
        running(deployments) as peers,
    ):
        url = server.url("bench")
        first = _in_process(folder, url, peers, deployments)
        unchanged = [_in_process(folder, url, peers, deployments) for _ in range(runs)]
        return first, unchanged, _in_process(folder, url, peers.without_scan, deployments)


def _in_process(folder: str, url: str, peers: Peers, deployments: int) -> dict[str, Any]:
    """Run the job in a process of its own, as the daemon does."""
    given = json.dumps({"folder": folder, "url": url, "peers": asdict(peers), "deployments": deployments})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_deployments", "--in", given],
        env=os.environ | {SYNC_VARIABLE: url, "SYNC_HOME": str(Path(folder) / "home")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(folder: str, url: str, peers: Peers, deployments: int) -> Measured:
    engine = connect_engine(url)
    job = Definitions.merge(
        definitions_of((connection(peers),)),
        Definitions(resources={"store": engine, "options": RunOptions()}, executor=in_process_executor),
    ).resolve_job_def("deployments_reconcile")
    requests, reference = Requests(), InstanceRef.from_dir(folder, config_dir=str(PROJECT))
    with DagsterInstance.from_ref(reference) as instance, requests.counted():
        cpu, started = time.process_time(), time.monotonic()
        result = job.execute_in_process(
            instance=instance,
            partition_key=NAME,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    with engine.connect() as database:
        query = "SELECT count(*) FROM event_logs WHERE run_id = :run"
        rows = database.execute(text(query), {"run": result.run_id}).scalar_one()
        (plan,) = [plan for plan in plans.list_plans(database, limit=1) if plan.run_id == result.run_id]
    engine.dispose()
    return Measured(
        deployments,
        plan.changes,
        round(seconds, 3),
        round(cpu, 3),
        round(peak_memory(), 1),
        rows,
        requests.of(bosh.PEER),
        requests.of(VAULT),
        requests.of(VAULT, without=("GET", "LIST", "SCAN")),
    )


def main() -> None:
    """Print the measurements as JSON, or be the process of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=DEPLOYMENTS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--many", type=int, default=MANY, help="deployments for the memory; 0 leaves that out")
    parser.add_argument("--in", dest="inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if given.inside is None:
        print(json.dumps(measure(given.deployments, given.runs, given.many), indent=2))
        return
    inside = json.loads(given.inside)
    found = _run(inside["folder"], inside["url"], Peers(**inside["peers"]), inside["deployments"])
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
