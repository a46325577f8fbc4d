"""``python -m benchmarks``: run the benchmarks one after another, each in a process of its own, and write the page."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import verdicts
from benchmarks.measure import Line, Report
from benchmarks.page import page

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "benchmarks.md"


def _report(found: dict[str, Any]) -> Report:
    return Report([Line(**line) for line in found["lines"]], found["notes"])


@dataclass(frozen=True)
class Benchmark:
    """One module of this package.

    Attributes:
        module: its name; it prints what it found as JSON.
        quick: its arguments in a quick run, ``None`` when it has no quick way.
        judge: makes a report of what it printed.
    """

    module: str
    quick: tuple[str, ...] | None
    judge: Callable[[dict[str, Any]], Report] = _report


BENCHMARKS = {
    "load": Benchmark("bench_load", ("--records", "1000")),
    "dlt": Benchmark("bench_dlt", ("--records", "1000")),
    "diff": Benchmark("bench_diff", ("--records", "1000")),
    "memory": Benchmark("bench_memory", ("--records", "1000")),
    "engine": Benchmark("bench_engine", ("--records", "100")),
    "two_way": Benchmark("bench_two_way", ("--records", "1000")),
    "commerce": Benchmark("bench_commerce", ("--records", "60")),
    "applier": Benchmark("bench_applier", None, verdicts.applier),
    "reconcile": Benchmark("bench_reconcile", ("--offerings", "20", "--runs", "1"), verdicts.reconcile),
    "deployments": Benchmark(
        "bench_deployments", ("--deployments", "20", "--runs", "1", "--many", "0"), verdicts.deployments
    ),
    "ledger": Benchmark("bench_ledger", ("--entries", "2000")),
    "marketplaces": Benchmark("bench_marketplaces", ("--records", "500")),
    "endpoint": Benchmark("bench_endpoint", ("--records", "200")),
    "events": Benchmark("bench_events", ("--changes", "2"), verdicts.events),
}


def main() -> int:
    """Run what was asked for; 1 when a benchmark failed. A missed target is said, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="few records: does everything work?")
    parser.add_argument("--keep", type=Path, help="folder for the results; what it has is not measured again")
    parser.add_argument("--page", type=Path, help="where the page goes; docs/benchmarks.md when everything is run")
    given = parser.parse_args()
    names = [name.strip() for name in given.only.split(",") if name.strip()] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    found = {name: _run(BENCHMARKS[name], quick=given.quick, keep=given.keep) for name in names}
    done = [(name, report) for name, report in found.items() if report is not None]
    written = page(done, quick=given.quick)
    everything = not given.only and not given.quick
    place = given.page or (PAGE if everything and len(done) == len(names) else None)
    if place is not None:
        place.write_text(written, encoding="utf-8")
        print(f"written: {place}")
    return 0 if len(done) == len(names) else 1


def _run(benchmark: Benchmark, *, quick: bool, keep: Path | None) -> Report | None:
    print(f"== {benchmark.module}", flush=True)
    arguments = benchmark.quick if quick else ()
    if arguments is None:
        print("   takes too long for a quick run")
        return Report()
    kept = None if keep is None else keep / f"{benchmark.module}.json"
    if kept is not None and kept.exists():
        print("   kept from before")
        found = kept.read_text(encoding="utf-8")
    else:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{benchmark.module}", *arguments],
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode != 0:
            print(f"   failed with exit code {done.returncode}")
            return None
        found = done.stdout
        if kept is not None:
            kept.write_text(found, encoding="utf-8")
    report = benchmark.judge(json.loads(found))
    for line in report.lines:
        verdict = {True: "met", False: "MISSED", None: ""}[line.met]
        print(f"   {line.name:75} {line.ours:>20} {line.target:>20} {line.ratio:>24} {verdict}")
    return report


if __name__ == "__main__":
    sys.exit(main())
