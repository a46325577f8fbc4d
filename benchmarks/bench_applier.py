"""How many changes a second the applier carries out, and how exactly several runs keep one rate limit.

``python -m benchmarks.bench_applier`` starts an embedded PostgreSQL (durable, as in production) and the peer of
:mod:`benchmarks.applier_peer`, and prints what :func:`measure` returns as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from benchmarks.applier_pair import HttpTarget, MemoryTarget, Source, pair
from sync_pipelines.engine.ports import Pair, Target
from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import ensure_running, stop
from sync_pipelines.store.migrations import migrate
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.systems.transport import Transport

IN_FLIGHT = 8
CHANGES = 3000
LIMITED_RUNS = 4
LIMITED_RATE = 50.0
LIMITED_BURST = 5.0
LIMITED_SECONDS = 24.0
_LOG = logging.getLogger("benchmarks")


@dataclass(frozen=True, slots=True)
class Speed:
    """Changes carried out, the seconds that took at the applier, and CPU seconds of its process."""

    name: str
    changes: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Changes a second."""
        return round(self.changes / self.seconds, 1)


@dataclass(frozen=True, slots=True)
class Limited:
    """What the peer saw of several runs that share one rate limit.

    Attributes:
        overall: requests a second from the first to the last.
        by_second: requests in each whole second.
        burst: requests beyond the rate that the limit allows at once.
        busiest: most requests in any window of one second.
    """

    runs: int
    rate: float
    burst: float
    requests: int
    overall: float
    by_second: list[int]
    busiest: int


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """URL of a fresh durable database for the time of the block."""
    server = ensure_running(folder, durable=True)
    try:
        server.ensure_database("bench")
        url = server.url("bench")
        engine = connect_engine(url)
        migrate(engine)
        engine.dispose()
        yield url
    finally:
        stop(folder)


@contextmanager
def peer() -> Iterator[str]:
    """URL of a peer in a process of its own for the time of the block."""
    command = [sys.executable, "-m", "benchmarks.applier_peer"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def speeds(url: str, changes: int = CHANGES, in_flight: int = IN_FLIGHT) -> list[Speed]:
    """Measure creates and updates, over HTTP and at the ports."""
    return [*_over_http(url, changes, in_flight), *_at_the_ports(url, changes, in_flight)]


def _over_http(url: str, changes: int, in_flight: int) -> list[Speed]:
    async def work(address: str) -> list[Speed]:
        async with Transport("peer", address, max_in_flight=in_flight) as transport:
            return await _creates_and_updates(url, HttpTarget(transport), "http", changes, in_flight)

    with peer() as address:
        return asyncio.run(work(address))


def _at_the_ports(url: str, changes: int, in_flight: int) -> list[Speed]:
    return asyncio.run(_creates_and_updates(url, MemoryTarget(0.005), "ports", changes, in_flight))


async def _creates_and_updates(url: str, target: Target, name: str, changes: int, in_flight: int) -> list[Speed]:
    left = Source(changes)
    both = pair(left, target, scope=name, in_flight=in_flight)
    engine = connect_engine(url)
    try:
        creates = await _timed(engine, both, f"{name} create")
        left.version = 1
        return [creates, await _timed(engine, both, f"{name} update")]
    finally:
        engine.dispose()


async def _timed(engine: object, both: Pair, name: str) -> Speed:
    cpu = time.process_time()
    result = await reconcile(engine, both, run_id=name, log=_LOG)  # type: ignore[arg-type]
    assert result.applied is not None
    done = result.applied.outcomes["applied"]
    assert done == result.applied.planned, result.applied.outcomes
    return Speed(name, done, round(result.applied.seconds, 3), round(time.process_time() - cpu, 3))


def limited(
    url: str, runs: int = LIMITED_RUNS, rate: float = LIMITED_RATE, seconds: float = LIMITED_SECONDS
) -> Limited:
    """Let several processes, each with a scope of its own, share one rate limit of the peer."""
    with ExitStack() as stack:
        address = stack.enter_context(peer())
        # Three requests a change, and one for the listing.
        changes = int(rate * seconds / runs / 3)
        command = [sys.executable, "-m", "benchmarks.bench_applier", "--one-of", url, address, str(changes), str(rate)]
        children = [
            stack.enter_context(
                subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for number in range(runs)
        ]
        # All begin at once: while some are still starting, the others cannot use up the rate.
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        if [child.wait() for child in children] != [0] * runs:
            raise RuntimeError("a run of the benchmark failed")
        arrivals = sorted(httpx.get(f"{address}/arrivals", trust_env=False).json())
    # Each begins with one listing and then plans; what is asked for is how the changes keep the limit.
    return _judged(arrivals[runs:], runs, rate)


def _judged(arrivals: list[float], runs: int, rate: float) -> Limited:
    span = arrivals[-1] - arrivals[0]
    by_second = [0] * (int(span) + 1)
    for at in arrivals:
        by_second[int(at - arrivals[0])] += 1
    busiest = first = 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= 1.0:
            first += 1
        busiest = max(busiest, last - first + 1)
    return Limited(
        runs, rate, LIMITED_BURST, len(arrivals), round((len(arrivals) - 1) / span, 2), by_second[:-1], busiest
    )


def _one_of(url: str, address: str, changes: int, rate: float, number: int) -> None:
    async def work() -> None:
        engine = connect_engine(url)
        gate = PeerGate(engine, PeerLimits(rate=rate, burst=LIMITED_BURST))
        async with Transport("peer", address, max_in_flight=IN_FLIGHT, throttle=gate) as transport:
            both = pair(Source(changes, f"{number}-"), HttpTarget(transport), scope=f"limited-{number}")
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await reconcile(engine, both, run_id=f"limited-{number}", log=_LOG)
        engine.dispose()

    asyncio.run(work())


def measure(changes: int = CHANGES) -> dict[str, object]:
    """Run everything on a database of its own; returns plain data for the results page."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as url:
        found = speeds(url, changes)
        return {
            "speeds": [{**asdict(speed), "per_second": speed.per_second} for speed in found],
            "limited": asdict(limited(url)),
        }


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--speed-only", action="store_true")
    parser.add_argument(
        "--one-of", nargs=5, metavar=("URL", "PEER", "CHANGES", "RATE", "NUMBER"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.one_of:
        url, address, changes, rate, number = given.one_of
        _one_of(url, address, int(changes), float(rate), int(number))
        return
    print(json.dumps(measure(given.changes), indent=2))


if __name__ == "__main__":
    main()
