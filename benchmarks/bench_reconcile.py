"""What an unchanged reconcile costs beside its peers: 10,000 offerings that agree, through the real Dagster job.

``python -m benchmarks.bench_reconcile`` starts an embedded PostgreSQL and both peers in processes of their own,
runs the job in this process on the shipped ``dagster.yaml``, and prints what :func:`measure` returns as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dagster import DagsterInstance, Definitions, in_process_executor
from dagster._core.instance.ref import InstanceRef
from sqlalchemy import text

from benchmarks.offerings_peers import NAME, Urls, connection, peers
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.offerings.definitions import definitions_of
from sync_pipelines.store import plans
from sync_pipelines.store.database import SYNC_VARIABLE, connect_engine
from sync_pipelines.store.embedded import ensure_running, stop
from sync_pipelines.store.migrations import migrate
from sync_pipelines.systems.transport import Transport

OFFERINGS = 10_000
RUNS = 3
PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the job.

    Attributes:
        offerings: records on each side.
        changes: what the plan held; 0 in an unchanged run.
        seconds: from launch to end.
        peer_seconds: time in which at least one request was on its way.
        outside_seconds: the rest, in which this product and its database work and the peers wait.
        cpu_seconds: of this process, wherever it was spent.
        event_rows: rows of the run in Dagster's event log.
    """

    offerings: int
    changes: int
    seconds: float
    peer_seconds: float
    outside_seconds: float
    cpu_seconds: float
    event_rows: int


class InFlight:
    """Adds up the time in which at least one request is on its way, whatever their number."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._open = 0
        self._since = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every request of this process for the time of the block."""
        send = Transport._send

        async def timed(transport: Transport, *args: Any) -> Any:
            if not self._open:
                self._since = time.monotonic()
            self._open += 1
            try:
                return await send(transport, *args)
            finally:
                self._open -= 1
                if not self._open:
                    self.seconds += time.monotonic() - self._since

        with patch.object(Transport, "_send", timed):
            yield


def measure(offerings: int = OFFERINGS, runs: int = RUNS) -> dict[str, object]:
    """Link everything once, then reconcile it unchanged; returns plain data for the results page."""
    with tempfile.TemporaryDirectory() as folder, _instance(Path(folder)) as (url, instance), peers(offerings) as urls:
        first = _run(url, instance, urls, offerings)
        unchanged = [_run(url, instance, urls, offerings) for _ in range(runs)]
    best = min(unchanged, key=lambda one: one.outside_seconds)
    return {"first": asdict(first), "unchanged": [asdict(one) for one in unchanged], "best": asdict(best)}


@contextmanager
def _instance(folder: Path) -> Iterator[tuple[str, DagsterInstance]]:
    """A Dagster instance on the shipped settings and a durable PostgreSQL, with the URL of the store's database."""
    server = ensure_running(folder / "postgres", durable=True)
    try:
        server.ensure_database("bench")
        engine = connect_engine(server.url("bench"))
        migrate(engine)
        engine.dispose()
        settings = {SYNC_VARIABLE: server.url("bench"), "SYNC_HOME": str(folder / "home")}
        with patch.dict(os.environ, settings):
            reference = InstanceRef.from_dir(str(folder), config_dir=str(PROJECT))
            with DagsterInstance.from_ref(reference) as instance:
                yield server.url("bench"), instance
    finally:
        stop(folder / "postgres")


def _run(url: str, instance: DagsterInstance, urls: Urls, offerings: int) -> Measured:
    engine = connect_engine(url)
    job = Definitions.merge(
        definitions_of((connection(urls),)),
        Definitions(resources={"store": engine, "options": RunOptions()}, executor=in_process_executor),
    ).resolve_job_def("offerings_reconcile")
    in_flight, cpu, started = InFlight(), time.process_time(), time.monotonic()
    with in_flight.watched():
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
        offerings,
        plan.changes,
        round(seconds, 3),
        round(in_flight.seconds, 3),
        round(seconds - in_flight.seconds, 3),
        round(cpu, 3),
        rows,
    )


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offerings", type=int, default=OFFERINGS)
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    print(json.dumps(measure(given.offerings, given.runs), indent=2))


if __name__ == "__main__":
    main()
