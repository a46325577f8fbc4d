"""A Director with many deployments in a process of its own, and a real OpenBao beside it.

``python -m benchmarks.deployments_peers 1000 5`` prints the URL of a Director of 1,000 deployments with 5 VMs each,
which answers 5 ms late, and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER, DirectorStandIn
from sync_pipelines.sandbox.openbao import OpenBao
from sync_pipelines.settings import Secret

LATENCY = 0.005
VMS_EACH = 5
CONCURRENCY = 5
MOUNT = "secret"
NAME = "bench"


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the two are, and the token for the latter; and one that may not scan."""

    director: str
    vault: str
    token: str
    lesser_token: str

    @property
    def without_scan(self) -> Peers:
        """The same with the lesser token."""
        return replace(self, token=self.lesser_token)


def connection(peers: Peers, **changes: Any) -> DeploymentsConnection:
    """Return the connection between the two."""
    catalog = resources.files("sync_pipelines.sandbox") / "data" / "deployments" / "catalog.json"
    given = {
        "name": NAME,
        "director": {"url": peers.director, "user": DEMO_USER, "password": Secret(DEMO_PASSWORD), "auth": "basic"},
        "vault": {"url": peers.vault, "mount": MOUNT, "token": Secret(peers.token)},
        "catalog": str(catalog),
        "reconciler": {"max_concurrency": CONCURRENCY, "cache_ttl": "1h"},
        **changes,
    }
    return DeploymentsConnection.model_validate(given, context={"environment": {}})


@contextmanager
def running(deployments: int) -> Iterator[Peers]:
    """Run both for the time of the block, the Vault empty."""
    with OpenBao.in_memory() as vault, _director(deployments) as url:
        rights = {f"{MOUNT}/data/*": ["read", "create", "update"], f"{MOUNT}/metadata/*": ["read", "list"]}
        vault.admin.put_policy("no-scan", rights | {f"{MOUNT}/metadata/": ["list"]})
        yield Peers(url, vault.url, vault.token, vault.admin.create_token("no-scan"))


@contextmanager
def _director(deployments: int) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.deployments_peers", str(deployments), str(VMS_EACH)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the Director of the benchmark did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait()


def main(deployments: int, vms_each: int) -> None:
    """Serve until standard input ends."""
    stand_in = DirectorStandIn.many(deployments, vms_each)
    stand_in.faults.add("latency", seconds=LATENCY)
    with stand_in.running() as url:
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
