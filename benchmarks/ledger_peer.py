"""A canister with a large ledger, in a process of its own.

``python -m benchmarks.ledger_peer 1000000 FOLDER`` makes the ledger in a file in the folder, prints the URL of a
replica that serves it, and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.sandbox.internet_computer import MAINNET_CANISTER, FileStorage, InternetComputerStandIn, many

NAME = "bench"


def connection(url: str, **changes: Any) -> LedgerConnection:
    """Return the connection to the canister."""
    given = {"name": NAME, "canister_id": MAINNET_CANISTER, "url": url, "environment": "development", **changes}
    return LedgerConnection.model_validate(given, context={"environment": {}})


@contextmanager
def running(entries: int, folder: Path) -> Iterator[str]:
    """Serve a ledger with so many entries for the time of the block; gives the replica's URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ledger_peer", str(entries), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the canister of the benchmark did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait()


def main(entries: int, folder: Path) -> None:
    """Serve until standard input ends."""
    storage = FileStorage(folder / "ledger")
    stand_in = InternetComputerStandIn(many(entries, storage=storage))
    # Nobody verifies the signatures of the replies here, and to make one takes longer than to answer.
    stand_in.replica.signs = False
    with stand_in.running() as url:
        print(url, flush=True)
        sys.stdin.read()
    storage.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
