"""Command line of the simulator."""

from __future__ import annotations

import argparse
import sys
import time

from sync_pipelines_tests.core.small_worlds.search import WORKERS, Finding, search
from sync_pipelines_tests.core.small_worlds.story import live
from sync_pipelines_tests.core.small_worlds.world import RULES, Broken, Rules

PROGRESS_SECONDS = 3.0
SHOWN_FINDINGS = 10


def main(arguments: list[str] | None = None, rules: Rules = RULES) -> int:
    """Run the simulator. Returns 0 when every world held, 1 when one broke, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="small_worlds", description="Run small worlds of the core's decisions.")
    parser.add_argument("worlds", nargs="?", type=int, default=1_000_000, help="number of worlds")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes")
    parser.add_argument("--seed", type=int, help="run the world of this seed only and tell its story")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return _tell(chosen.seed, rules)
    return _run(range(chosen.start, chosen.start + chosen.worlds), chosen.workers, rules)


def _tell(seed: int, rules: Rules) -> int:
    print(f"world {seed}")
    try:
        live(seed, rules, print)
    except Broken as broken:
        print(f"BROKEN: {broken}")
        return 1
    print("both sides agree")
    return 0


def _run(seeds: range, workers: int, rules: Rules) -> int:
    started = told = time.monotonic()
    done, busy, findings = 0, 0.0, list[Finding]()
    try:
        for report in search(seeds, rules, workers=workers):
            done += report.worlds
            busy += report.seconds
            findings += report.findings
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                print(f"{_progress(done, told - started)}, {len(findings)} broken", flush=True)
    except KeyboardInterrupt:
        print(f"stopped after {done:,} worlds", file=sys.stderr)
        return 130
    print(f"{_progress(done, time.monotonic() - started)}; {1e6 * busy / max(done, 1):.1f} us of a processor each")
    for finding in sorted(findings)[:SHOWN_FINDINGS]:
        print(f"seed {finding.seed}: {finding.reason}")
        print(f"  its story: python -m sync_pipelines_tests.core.small_worlds --seed {finding.seed}")
    print(f"{len(findings)} broken" if findings else "every world held")
    return 1 if findings else 0


def _progress(done: int, seconds: float) -> str:
    return f"{done:,} worlds in {seconds:.1f} s, {done / max(seconds, 1e-9) * 60:,.0f} a minute"


if __name__ == "__main__":
    sys.exit(main())
