"""``python -m sync_pipelines.sandbox``: serve the demo's stand-ins until the process is told to stop."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from sync_pipelines.sandbox.demo import CHAIN_PORT, WALDUR_PORT, StateUnreadable, demo_stand_ins


def main() -> int:
    """Serve, and say where as one line of JSON: ``{"waldur": URL, "chain": URL}``."""
    parser = argparse.ArgumentParser(prog="python -m sync_pipelines.sandbox", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the stand-ins keep their state")
    parser.add_argument("--waldur-port", type=int, default=WALDUR_PORT, help="preferred port (default: %(default)s)")
    parser.add_argument("--chain-port", type=int, default=CHAIN_PORT, help="preferred port (default: %(default)s)")
    parser.add_argument("--block-seconds", type=float, default=2.0, help="seconds per block (default: %(default)s)")
    given = parser.parse_args()
    # Blocked before any thread is started, so that every thread leaves them to sigwait.
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        with demo_stand_ins(
            given.folder,
            waldur_port=given.waldur_port,
            chain_port=given.chain_port,
            block_seconds=given.block_seconds,
        ) as urls:
            print(json.dumps(asdict(urls)), flush=True)
            signal.sigwait(ends)
    except StateUnreadable as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
