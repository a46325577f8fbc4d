"""The command behind ``make simulate``: many worlds in several processes, or the story of one."""

from __future__ import annotations

import argparse
import sys

from sync_pipelines_tests.simulation.simulate import failures
from sync_pipelines_tests.simulation.workers import own_database, simulate
from sync_pipelines_tests.simulation.world import World


def main() -> int:
    """Return 0 when every world is as it should be."""
    options = _options()
    if options.seed is not None:
        return _tell(options.seed)
    return simulate(options.worlds, options.first, options.workers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description="Live through random worlds, each seed twice.")
    parser.add_argument("--worlds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a database server of its own (2)")
    parser.add_argument("--seed", type=int, help="tell the story of this seed, and nothing else")
    return parser.parse_args()


def _tell(seed: int) -> int:
    with own_database() as database:
        story = World(seed, database).live()
        reasons = story.broken or tuple(str(failure) for failure in failures(database, [seed]))
    print("\n".join(story.lines))
    print("\n".join(f"BROKEN: {reason}" for reason in reasons) or f"seed {seed}: all promises kept")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
