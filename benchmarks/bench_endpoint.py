"""How fast the scheduler's route answers: 50 parallel calls, each with a token and a time of its own.

``python -m benchmarks.bench_endpoint`` starts an embedded PostgreSQL, a tokens' issuer, and the service in a process of
its own, and prints its report as JSON. There is no Dagster: the route does not need it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.measure import Report, run
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines_tests.service.google import Google, token
from sync_pipelines_tests.service.running import SCHEDULER, called, environment

CALLS = 5_000
PARALLEL = 50
MOST_MILLISECONDS = 50.0
WARM_UP = 200
PROJECT = Path(__file__).parents[1]
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def measure(calls: int = CALLS) -> Report:
    """Call the route and report how long the answers took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_server() as server,
        fresh_database(server) as engine,
        Google().running() as google,
        _service(google, server.url("bench"), folder) as port,
    ):
        asyncio.run(_called(port, _times(0, WARM_UP)))
        new = asyncio.run(_called(port, _times(WARM_UP, calls)))
        same = asyncio.run(_called(port, [EPOCH] * calls))
        _check(engine, WARM_UP + calls)
    report = Report()
    for name, seconds in (("a time of its own each", new), ("one time that had its cycle", same)):
        name = f"endpoint: {PARALLEL} parallel calls, {name}"
        percentile = statistics.quantiles(seconds.answers, n=100)[98] * 1000
        report.at_most(f"{name}, 99th percentile", percentile, MOST_MILLISECONDS, "ms")
        report.plain("the same: median", statistics.median(seconds.answers) * 1000, "ms")
        report.plain("the same: answers", calls / seconds.whole, "answers/s")
    report.notes.append(
        "Endpoint: each call shows a token that is verified and the secret, and is answered once its row is committed. "
        f"The {PARALLEL} callers share the machine with the service and PostgreSQL."
    )
    return report


def _times(first: int, count: int) -> list[datetime]:
    return [EPOCH + timedelta(minutes=15 * number) for number in range(first, first + count)]


def _check(engine: Engine, cycles: int) -> None:
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT count(*), count(*) FILTER (WHERE status = 'accepted') FROM sync.sync_cycle")
        )
        assert tuple(found.one()) == (cycles, 1)


@contextmanager
def _service(google: Google, database_url: str, folder: str) -> Iterator[int]:
    # Nothing listens there: the one cycle that is accepted waits for Dagster all the time.
    variables = environment(
        google, SYNC_DATABASE_URL=database_url, SYNC_HOME=folder, SYNC_DAGSTER_URL="http://127.0.0.1:1"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sync_pipelines.cli", "serve", "--port", "0"],
        cwd=PROJECT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate(timeout=30)


class _Seconds:
    """How long the answers took, and all of it."""

    def __init__(self, answers: list[float], whole: float) -> None:
        self.answers = answers
        self.whole = whole


async def _called(port: int, times: list[datetime]) -> _Seconds:
    """Call as many at a time as there are callers; each keeps its connection."""
    requests, answers = [_request(time) for time in times], []
    waiting = iter(requests)

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            answers.append(time.perf_counter() - began)
            assert head.startswith((b"HTTP/1.1 202", b"HTTP/1.1 200")), head
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(PARALLEL)))
    return _Seconds(answers, time.perf_counter() - began)


_TOKEN = token()


def _request(at: datetime) -> bytes:
    headers = {"Host": "service", **called(at.isoformat(), bearer=_TOKEN)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {SCHEDULER} HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\n{{}}".encode()


if __name__ == "__main__":
    run(measure, records=CALLS)
