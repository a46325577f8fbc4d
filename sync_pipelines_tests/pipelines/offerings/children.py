"""Runs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import yaml

from sync_pipelines_tests.pipelines.offerings.market import (
    CATEGORIES,
    CHAIN_ID,
    CUSTOMERS,
    OWNERS,
    PROVIDER,
    STAFF,
    Market,
)


@contextmanager
def child(program: ModuleType, market: Market, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program over the market's usual connection until the block is left.

    Arguments:
        program: module to run; it finds the connection in ``SYNC_CONNECTIONS_FILE``.
        folder: for that file.
        arguments: given to the program.
    """
    file = folder / "connections.yaml"
    connection = {
        "name": "nordlys",
        "provider": PROVIDER,
        "chain": {"rpc_url": market.chain_url, "chain_id": CHAIN_ID},
        "waldur": {
            "url": market.waldur_url,
            "token": "env:OWNER",
            "staff_token": "env:STAFF",
            "customer_uuid": CUSTOMERS[PROVIDER],
        },
        "category_map": CATEGORIES,
        "guard": {"ignore_up_to": 3},
    }
    file.write_text(yaml.safe_dump({"offerings": [connection]}))
    process = subprocess.Popen(
        [sys.executable, "-m", program.__name__, *arguments],
        env={**os.environ, "SYNC_CONNECTIONS_FILE": str(file), "OWNER": OWNERS[PROVIDER], "STAFF": STAFF},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something to be seen while a child works."""
    deadline = time.monotonic() + 60
    while not seen():
        assert process.poll() is None, "the run ended before"
        assert time.monotonic() < deadline
        time.sleep(0.02)
