"""What the import of a large ledger costs: all of it in one Dagster run, then nothing new, then proving what is stored.

``python -m benchmarks.bench_ledger`` starts an embedded PostgreSQL and a canister in processes of their own, runs the
import job in one more process on the shipped ``dagster.yaml``, and prints its report as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dagster import DagsterInstance, Definitions, in_process_executor
from dagster._core.instance.ref import InstanceRef
from sqlalchemy import Engine, text

from benchmarks.ledger_peer import NAME, connection, running
from benchmarks.measure import Report, peak_memory
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.ledger.definitions import definitions_of
from sync_pipelines.pipelines.ledger.importing import Ending, import_ledger
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.store.database import SYNC_VARIABLE, connect_engine
from sync_pipelines.systems.transport import Transport

ENTRIES = 1_000_000
LEAST_IMPORTED, LEAST_VERIFIED = 40_000, 100_000
MOST_MEMORY = 300.0
MOST_EVENTS = 40
CATCH_UP_SECONDS = 0.3
LOOKS = 5
PROJECT = Path(__file__).parents[1]
log = logging.getLogger("benchmarks")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one piece of work took.

    Attributes:
        entries: how many it was about.
        seconds: from its beginning to its end.
        cpu_seconds: processor time of its process; PostgreSQL's is not in it.
        waiting_seconds: time in which a request was on its way.
        memory: the most that the process ever had, in MB.
        requests: how many were sent.
        events: rows in Dagster's event log.
    """

    entries: int
    seconds: float
    cpu_seconds: float
    waiting_seconds: float
    memory: float
    requests: int
    events: int = 0


@dataclass
class Requests:
    """Counts requests, and the time in which one is on its way."""

    sent: int = 0
    seconds: float = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every request of this process for the time of the block."""
        send = Transport._send

        async def watching(transport: Transport, *args: Any) -> Any:
            began = time.monotonic()
            try:
                return await send(transport, *args)
            finally:
                self.sent += 1
                self.seconds += time.monotonic() - began

        with patch.object(Transport, "_send", watching):
            yield


def measure(entries: int = ENTRIES) -> Report:
    """Import a ledger, look again, derive its tables and prove it, each in a process of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_server() as server,
        fresh_database(server),
        running(entries, Path(folder)) as url,
    ):
        given = {"folder": folder, "database": server.url("bench"), "url": url}
        found = {work: _in_process(work, given) for work in WORKS}
    return _judged(entries, found)


def _in_process(work: str, given: dict[str, str]) -> Measured:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_ledger", "--do", work, "--in", json.dumps(given)],
        env=os.environ | {SYNC_VARIABLE: given["database"], "SYNC_HOME": str(Path(given["folder"]) / "home")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _import(engine: Engine, url: str, folder: str) -> Measured:
    """Import everything as one run of the job."""
    job = Definitions.merge(
        definitions_of((connection(url),)),
        Definitions(resources={"store": engine, "options": RunOptions()}, executor=in_process_executor),
    ).resolve_job_def(f"ledger_{NAME}_import")
    requests, reference = Requests(), InstanceRef.from_dir(folder, config_dir=str(PROJECT))
    with DagsterInstance.from_ref(reference) as instance, requests.watched():
        cpu, began = time.process_time(), time.monotonic()
        result = job.execute_in_process(
            instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        )
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    with engine.connect() as database:
        events = database.execute(
            text("SELECT count(*) FROM event_logs WHERE run_id = :run"), {"run": result.run_id}
        ).scalar_one()
        stored = database.execute(text("SELECT entries FROM sync.ledger_position")).scalar_one()
    return Measured(stored, seconds, cpu, requests.seconds, peak_memory(), requests.sent, events)


def _catch_up(engine: Engine, url: str, folder: str) -> Measured:
    """Look for something new several times; the median."""
    looks = sorted((_look(engine, url) for _ in range(LOOKS)), key=lambda look: look.seconds)
    return looks[LOOKS // 2]


def _look(engine: Engine, url: str) -> Measured:
    async def run() -> Ending:
        asked = connection(url)
        async with open_ledger(asked, engine) as opened:
            done = await import_ledger(engine, opened.source, asked.name, asked.canister_id, run_id="catch-up", log=log)
            return done.ending

    requests = Requests()
    with requests.watched():
        cpu, began = time.process_time(), time.monotonic()
        assert asyncio.run(run()) is Ending.CAUGHT_UP
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    return Measured(0, seconds, cpu, requests.seconds, peak_memory(), requests.sent)


def _derive(engine: Engine, url: str, folder: str) -> Measured:
    """Derive all tables."""
    cpu, began = time.process_time(), time.monotonic()
    _, done = derive_stale(engine, NAME, log)
    return Measured(done.entries, time.monotonic() - began, time.process_time() - cpu, 0.0, peak_memory(), requests=0)


def _verify(engine: Engine, url: str, folder: str) -> Measured:
    """Prove the chain, the balances and the counts."""
    cpu, began = time.process_time(), time.monotonic()
    done = verify_ledger(engine, NAME)
    assert done.sound, done.findings
    return Measured(done.entries, time.monotonic() - began, time.process_time() - cpu, 0.0, peak_memory(), requests=0)


WORKS: dict[str, Callable[[Engine, str, str], Measured]] = {
    "import": _import,
    "catch-up": _catch_up,
    "verify the chain": _verify,
    "derive": _derive,
    "verify everything": _verify,
}
"""What is measured, in order. Before anything is derived, only the chain can be proved."""


def _judged(entries: int, found: dict[str, Measured]) -> Report:
    report = Report()
    imported, look, derived = (found[work] for work in ("import", "catch-up", "derive"))
    assert imported.entries == entries
    name = f"ledger: import of {entries:,} entries"
    report.at_least(f"{name}, decode and store", entries / imported.cpu_seconds, LEAST_IMPORTED, "entries/s of CPU")
    report.plain("the same, from start to end", entries / imported.seconds, "entries/s")
    report.plain("the same: time in which a request was on its way", imported.waiting_seconds, "s")
    report.at_most("the same: memory of the process", imported.memory, MOST_MEMORY, "MB")
    report.at_most("the same: events in Dagster's log", imported.events, MOST_EVENTS, "events")
    report.at_most(
        "ledger: nothing new, outside the request", look.seconds - look.waiting_seconds, CATCH_UP_SECONDS, "s"
    )
    report.at_most("the same: requests", look.requests, 1, "requests")
    for work in ("verify the chain", "verify everything"):
        proved = found[work]
        report.at_least(f"ledger: {work}", proved.entries / proved.seconds, LEAST_VERIFIED, "entries/s")
    memory = max(measured.memory for work, measured in found.items() if work != "import")
    report.plain(
        f"ledger: derive the tables of {derived.entries:,} entries", derived.entries / derived.seconds, "entries/s"
    )
    report.plain("memory of deriving and verifying", memory, "MB")
    report.notes.append(
        "Ledger: the job `ledger_<name>_import` in a process of its own against a canister that serves the ledger from "
        "a file, 1,000 entries a block, mostly transfers. CPU is the importing process's; PostgreSQL stores meanwhile "
        "in its own. Everything is verified again once the tables are derived, with the balances of all accounts."
    )
    return report


def main() -> None:
    """Print the report as JSON, or be the process of one piece of work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--do", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="given", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if asked.do is None:
        print(json.dumps(asdict(measure(asked.entries))))
        return
    given = json.loads(asked.given)
    engine = connect_engine(given["database"])
    measured = WORKS[asked.do](engine, given["url"], given["folder"])
    engine.dispose()
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
