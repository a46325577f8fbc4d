"""How fast a snapshot is loaded, and what a small one costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from benchmarks import data
from benchmarks.measure import Report, peak_memory, run
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.snapshots import Side, Snapshot, loading

RECORDS = 1_000_000
SMALL = 20
FIRST_PER_SECOND = 80_000
UNCHANGED_PER_SECOND = 150_000
MOST_MEMORY = 400


@dataclass(frozen=True, slots=True)
class Loaded:
    """One pass.

    Attributes:
        seconds: in the loader: from opening it to the end of ``finish``, without what its caller does meanwhile.
        making: seconds in which the caller made Record objects of the rows.
    """

    snapshot: Snapshot
    seconds: float
    making: float

    @property
    def per_second(self) -> float:
        """Records a second through the loader."""
        return self.snapshot.records / self.seconds

    @property
    def per_second_made(self) -> float:
        """Records a second when making the Record objects counts."""
        return self.snapshot.records / (self.seconds + self.making)


def load(engine: Engine, scope: Scope, side: Side, pages: Iterable[list[dict[str, Any]]], count: int) -> Loaded:
    """Load pages of rows as the engine does; making the rows themselves is the peer's part and not measured."""
    inside = making = 0.0
    began = time.perf_counter()
    with loading(engine, scope, side) as loader:
        inside += time.perf_counter() - began
        for page in pages:
            began = time.perf_counter()
            records: list[Record] = [data.record(row) for row in page]
            made = time.perf_counter()
            loader.add(records)
            making += made - began
            inside += time.perf_counter() - made
        began = time.perf_counter()
        snapshot = loader.finish(Sweep("bench", declared=count, seen=count), run_id="bench")
        inside += time.perf_counter() - began
    return Loaded(snapshot, inside, making)


def measure(records: int) -> Report:
    """Load the same records three times: as new, unchanged, and with one in a hundred changed."""
    report = Report()
    with fresh_server() as server, fresh_database(server) as engine:
        with engine.begin() as connection:
            scope = ensure_scope(connection, "bench", "load")
        first = load(engine, scope, "left", data.pages(records), records)
        again = load(engine, scope, "left", data.pages(records), records)
        moved = load(engine, scope, "left", data.pages(records, changed_every=100), records)
        assert (first.snapshot.added, again.snapshot.added, again.snapshot.changed) == (records, 0, 0)
        assert moved.snapshot.changed == len(range(0, records, 100))
        memory = peak_memory()
        small = _small(engine)
    number = f"{records:,} records"
    report.at_least(f"load {number}, first time", first.per_second, FIRST_PER_SECOND, "rows/s")
    report.at_least(f"load {number}, nothing changed", again.per_second, UNCHANGED_PER_SECOND, "rows/s")
    report.plain(f"load {number}, 1 % changed", moved.per_second, "rows/s")
    report.plain("the first load, making the Record objects included", first.per_second_made, "rows/s")
    report.plain("the unchanged load, making the Record objects included", again.per_second_made, "rows/s")
    report.at_most(f"memory of the loading process, {number}", memory, MOST_MEMORY, "MB")
    report.plain(f"load {SMALL} records, nothing changed (median of 50)", small * 1000, "ms")
    report.notes.append(
        "Load: measured in the loader, from `loading()` to the end of `finish()`: canonical form, fingerprints, COPY, "
        "merge, statistics, commit. Making the page's rows is the peer's part and never counted; making the `Record` "
        "objects of them is counted where said. While the caller makes its rows a thread goes on writing, so these "
        "numbers are the time that the loader keeps its caller waiting."
    )
    return report


def _small(engine: Engine) -> float:
    with engine.begin() as connection:
        scope = ensure_scope(connection, "bench", "small")
    times = [load(engine, scope, "left", data.pages(SMALL), SMALL).seconds for _ in range(51)]
    return statistics.median(times[1:])


if __name__ == "__main__":
    run(measure, records=RECORDS)
