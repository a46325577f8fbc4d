"""What a pass over five million records, and a plan of a million creates, take of the process's memory."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time

from benchmarks import data
from benchmarks.bench_load import MOST_MEMORY, load
from benchmarks.measure import Report, peak_memory, run
from benchmarks.memory_pair import Listing, Nothing, pair
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.scopes import ensure_scope

RECORDS = 5_000_000
CREATES = 1_000_000


def measure(records: int) -> Report:
    """Measure both in processes of their own."""
    creates = min(CREATES, records)
    report = Report()
    with fresh_server() as server:
        for name, count in (("load", records), ("plan", creates)):
            with fresh_database(server, name):
                command = [sys.executable, "-m", "benchmarks.bench_memory", "--in", server.url(name), name, str(count)]
                printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found = json.loads(printed.splitlines()[-1])
            what = "of the loading process" if name == "load" else "of a reconcile that plans to create"
            report.at_most(f"memory {what}, {count:,} records", found["memory"], MOST_MEMORY, "MB")
            report.plain(f"the same: whole duration, rows made included, {count:,} records", found["seconds"], "s")
    return report


def _load(url: str, records: int) -> None:
    engine = connect_engine(url)
    with engine.begin() as connection:
        scope = ensure_scope(connection, "bench", "memory")
    assert load(engine, scope, "left", data.pages(records), records).snapshot.added == records


def _plan(url: str, records: int) -> None:
    engine = connect_engine(url)
    work = pair(Listing(records), Nothing(), guard=GuardLimits())
    done = asyncio.run(reconcile(engine, work, run_id="bench", log=logging.getLogger("benchmarks"), plan_only=True))
    assert done.plan.counts["create"] == records


def main() -> None:
    """Measure, or be the process that is measured."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--in", dest="inside", nargs=3)
    inside = parser.parse_known_args()[0].inside
    if inside is None:
        run(measure, records=RECORDS)
        return
    url, name, count = inside
    began = time.perf_counter()
    (_load if name == "load" else _plan)(url, int(count))
    print(json.dumps({"memory": peak_memory(), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
