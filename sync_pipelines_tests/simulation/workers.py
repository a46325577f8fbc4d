"""Many worlds in several processes, each with a database server of its own, and what came of them."""

from __future__ import annotations

import multiprocessing
import queue
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from pathlib import Path

from sync_pipelines.store.embedded import ensure_running, stop
from sync_pipelines_tests.simulation.database import SimulationDatabase, simulation_database
from sync_pipelines_tests.simulation.simulate import Failure, failures

CHUNK = 20
SHOWN = 20
"""Failing seeds that are named at the end; the rest is counted."""

Report = tuple[int, list[Failure]] | None
"""Worlds of a chunk and those that failed; ``None`` from a worker that is done."""


@contextmanager
def own_database() -> Iterator[SimulationDatabase]:
    """A database on a server of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="simulate-") as name:
        folder = Path(name)
        server = ensure_running(folder, durable=False)
        try:
            with simulation_database(server) as database:
                yield database
        finally:
            stop(folder)


def simulate(worlds: int, first: int, workers: int) -> int:
    """Live through worlds, twice each, and say what came of it. Returns an exit code."""
    context = multiprocessing.get_context("spawn")
    reports: Queue[Report] = context.Queue()
    chunks = range(first, first + worlds, CHUNK)
    processes = [
        context.Process(
            target=_work, args=([(at, min(CHUNK, first + worlds - at)) for at in chunks[n::workers]], reports)
        )
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        lived, found = _follow(reports, processes, worlds)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        # They were told by the same Ctrl-C and stop their servers first.
        for process in processes:
            process.join()
    if lived < worlds:
        print(f"only {lived} of {worlds} worlds were lived through: a worker failed, see above")
        return 1
    for failure in found[:SHOWN]:
        print(failure)
    if found:
        print(f"{len(found)} of {worlds} worlds failed. The story of one: make simulate SEED={found[0].seed}")
        return 1
    print(f"all {worlds} worlds agree, each lived through twice")
    return 0


def _follow(reports: Queue[Report], processes: list[SpawnProcess], worlds: int) -> tuple[int, list[Failure]]:
    lived, found, working = 0, list[Failure](), len(processes)
    started = time.monotonic()
    while working:
        try:
            report = reports.get(timeout=1)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                break
            continue
        if report is None:
            working -= 1
            continue
        lived, found = lived + report[0], found + report[1]
        rate = lived / (time.monotonic() - started)
        print(f"\r{lived} of {worlds} worlds, {rate:.1f} a second, {len(found)} failed ", end="", flush=True)
    print()
    return lived, sorted(found, key=lambda failure: failure.seed)


def _work(chunks: list[tuple[int, int]], reports: Queue[Report]) -> None:
    try:
        with own_database() as database:
            for first, number in chunks:
                reports.put((number, failures(database, range(first, first + number))))
        reports.put(None)
    except KeyboardInterrupt:
        reports.cancel_join_thread()
