"""What the engine itself needs for a reconcile that finds nothing to do: both sides come from memory."""

from __future__ import annotations

import asyncio
import logging
import time

from benchmarks.measure import Report, run
from benchmarks.memory_pair import Listing, pair
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.engine.reconcile import reconcile

RECORDS = 10_000
MOST_SECONDS = 3.0
RUNS = 5


def measure(records: int) -> Report:
    """Reconcile once to adopt every record, then several times with nothing to do."""
    work = pair(Listing(records), Listing(records, "right-"))
    log = logging.getLogger("benchmarks")
    report = Report()
    times = []
    with fresh_server() as server, fresh_database(server) as engine:
        first = asyncio.run(reconcile(engine, work, run_id="first", log=log))
        assert first.plan.counts["adopt"] == records
        for number in range(RUNS):
            cpu = time.process_time()
            done = asyncio.run(reconcile(engine, work, run_id=f"run {number}", log=log))
            assert done.plan.changes == 0
            times.append((done.seconds, time.process_time() - cpu))
    seconds, cpu = sorted(times)[RUNS // 2]
    report.at_most(f"engine: reconcile of {records:,} unchanged records", seconds, MOST_SECONDS, "s")
    report.plain("the same: CPU of the process, PostgreSQL's not counted", cpu, "s")
    report.plain(f"engine: link {records:,} records found on both sides", first.seconds, "s")
    report.notes.append(
        "Engine: `reconcile()` with both sides in memory, so extract, compare and apply without peers and without "
        f"Dagster; the median of {RUNS} runs."
    )
    return report


if __name__ == "__main__":
    run(measure, records=RECORDS)
