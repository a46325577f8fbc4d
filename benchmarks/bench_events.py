"""How long a change on the chain takes to arrive in Waldur with the daemon running, and where the time goes.

``python -m benchmarks.bench_events`` starts an embedded PostgreSQL, both peers, and ``dagster-daemon`` on the shipped
settings (no webserver: nobody looks). It changes one offering after another, each at a random moment after the one
before arrived, and prints what :func:`measure` returns as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import yaml
from sqlalchemy import Connection, Engine, text

from benchmarks.offerings_peers import CATEGORIES, CUSTOMER, NAME, PROVIDER, Urls, offering
from sync_pipelines.cli import process_groups
from sync_pipelines.pipelines.offerings import events
from sync_pipelines.sandbox.cometbft import ChainWorld, create_app, produce_blocks
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import ensure_running, stop

CHANGES = 15
LONGEST_PAUSE = 6.0
"""Seconds from one arrival to the next change are between 0 and this: longer than the sensor's interval."""
PATIENCE = 240.0
BLOCK_SECONDS = 1.0
CHAIN_ID = "virtengine-demo-1"
PROJECT = Path(__file__).parents[1]
STAGES = (
    "wait for the sensor's tick",
    "look at the chain, ask for a run",
    "wait in the run queue",
    "start of the run's process",
    "start of the step",
    "read both sides, plan, write",
)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Change:
    """A change on its way, in seconds of the wall clock.

    Attributes:
        made: when its block was made.
        arrived: when Waldur had it.
        run_id: the run that brought it.
        marks: when each of :data:`STAGES` ended.
    """

    made: float
    arrived: float
    run_id: str
    marks: tuple[float, ...]

    @property
    def stages(self) -> list[float]:
        """Seconds of each stage."""
        return [end - start for start, end in zip((self.made, *self.marks), self.marks, strict=False)]


class World:
    """Both peers in this process, and the database that the daemon works with."""

    def __init__(self, chain: ChainWorld, waldur: WaldurStandIn, engine: Engine) -> None:
        self.chain = chain
        self.waldur = waldur
        self.engine = engine

    def name(self, offering_id: str) -> str:
        """Return the name in Waldur, empty while there is none."""
        rows = self.waldur.world.by_backend_id(offering_id)
        return rows[0].name if rows else ""

    def change(self, number: int) -> Change:
        """Rename an offering on the chain, wait until Waldur has the name, and find out what happened in between."""
        offering_id, name = f"{PROVIDER}/{number % 3 + 1}", f"Renamed {number}"
        made = time.time()
        self.chain.update_offering(offering_id, {"name": name})
        _wait(lambda: self.name(offering_id) == name, PATIENCE, f"{name} is in Waldur")
        arrived = time.time()
        run_id = _wait(lambda: self._run_over(arrived), PATIENCE, "the run that brought it ended")
        with self.engine.connect() as connection:
            return Change(made, arrived, run_id, _marks(connection, run_id, made, arrived))

    def _run_over(self, moment: float) -> str:
        query = (
            "SELECT run_id FROM runs WHERE pipeline_name = 'offerings_events' AND start_time <= :moment "
            "AND end_time >= :moment"
        )
        with self.engine.connect() as connection:
            return str(connection.execute(text(query), {"moment": moment}).scalar() or "")


def measure(changes: int = CHANGES, seed: int = 1, **chain: Any) -> dict[str, object]:
    """Make changes and follow them; returns plain data for the results page.

    Arguments:
        changes: how many, one after another.
        seed: of the pauses between them.
        chain: further fields of the connection's ``chain``, such as ``wake_up_seconds``.
    """
    pauses = random.Random(seed)
    with running(**chain) as world:
        world.change(0)
        done = []
        for number in range(1, changes + 1):
            time.sleep(pauses.uniform(0, LONGEST_PAUSE))
            done.append(world.change(number))
            print(f"{number}: {done[-1].arrived - done[-1].made:.2f} s", file=sys.stderr)
        with world.engine.connect() as connection:
            rows = [_rows(connection, change.run_id) for change in done]
    totals = [change.arrived - change.made for change in done]
    stages = zip(STAGES, zip(*(change.stages for change in done), strict=True), strict=True)
    return {
        "changes": changes,
        "median_seconds": round(statistics.median(totals), 2),
        "p95_seconds": round(_p95(totals), 2),
        "stages": [
            {"stage": stage, "median": round(statistics.median(taken), 2), "p95": round(_p95(taken), 2)}
            for stage, taken in stages
        ],
        "event_rows": max(rows),
    }


@contextmanager
def running(**chain: Any) -> Iterator[World]:
    """Run everything until the block ends; yields when the sensor follows the chain and both sides agree."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = ensure_running(folder / "postgres", durable=True)
        stack.callback(stop, folder / "postgres")
        server.ensure_database("bench")
        world = World(ChainWorld(), _waldur(), connect_engine(server.url("bench")))
        stack.callback(world.engine.dispose)
        for number in (1, 2, 3):
            world.chain.create_offering(PROVIDER, offering(number))
        urls = Urls(stack.enter_context(serve(create_app(world.chain))), stack.enter_context(world.waldur.running()))
        stack.enter_context(produce_blocks(world.chain, BLOCK_SECONDS))
        environment = os.environ | {
            "SYNC_HOME": str(folder / "home"),
            "DAGSTER_HOME": str(PROJECT),
            "SYNC_DATABASE_URL": server.url("bench"),
            "SYNC_CONNECTIONS_FILE": str(_connections(folder, urls, chain)),
            "BENCH_TOKEN": DEMO_STAFF_TOKEN,
        }
        stack.enter_context(_daemon(folder, environment))
        _wait(lambda: _followed(world.engine), PATIENCE, "the sensor follows the chain")
        yield world


@contextmanager
def _daemon(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    command = [str(Path(sys.executable).parent / "dagster-daemon"), "run"]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process_groups.end([process.pid], grace_seconds=30)
        process.wait()


def _connections(folder: Path, urls: Urls, chain: dict[str, Any]) -> Path:
    # A full reconcile a day: every change of the benchmark comes by its event.
    written = {
        "name": NAME,
        "provider": PROVIDER,
        "interval": 86400,
        "chain": {"rpc_url": urls.chain, "chain_id": CHAIN_ID, **chain},
        "waldur": {
            "url": urls.waldur,
            "token": "env:BENCH_TOKEN",
            "staff_token": "env:BENCH_TOKEN",
            "customer_uuid": CUSTOMER,
        },
        "category_map": CATEGORIES,
    }
    path = folder / "connections.yaml"
    path.write_text(yaml.safe_dump({"offerings": [written]}), encoding="utf-8")
    return path


def _waldur() -> WaldurStandIn:
    stand_in = WaldurStandIn()
    stand_in.world.add_user("staff", DEMO_STAFF_TOKEN, is_staff=True)
    stand_in.world.add_customer(CUSTOMER, "Provider")
    for title, uuid in CATEGORIES.items():
        stand_in.world.add_category(uuid, title)
    return stand_in


def _followed(engine: Engine) -> bool:
    with engine.connect() as connection:
        there = connection.execute(text("SELECT to_regclass('sync.watermark')")).scalar() is not None
        return there and events.position(connection, CHAIN_ID) is not None


def _marks(connection: Connection, run_id: str, made: float, arrived: float) -> tuple[float, ...]:
    """Return when each of the stages of a run ended, the last of them with the arrival."""
    query = "SELECT extract(epoch FROM timestamp AT TIME ZONE 'UTC') FROM job_ticks WHERE tick_body LIKE :run"
    ticks = [float(moment) for moment in connection.execute(text(query), {"run": f"%{run_id}%"}).scalars()]
    query = (
        "SELECT dagster_event_type, min(extract(epoch FROM timestamp AT TIME ZONE 'UTC')) FROM event_logs "
        "WHERE run_id = :run AND dagster_event_type IS NOT NULL GROUP BY 1"
    )
    times = {kind: float(moment) for kind, moment in connection.execute(text(query), {"run": run_id})}
    kinds = ("PIPELINE_ENQUEUED", "PIPELINE_STARTING", "PIPELINE_START", "STEP_START")
    marks = [max(ticks), *(times[kind] for kind in kinds), arrived]
    # A tick that was under way when the change was made may have seen it.
    return tuple(accumulate(marks, max, initial=made))[1:]


def _rows(connection: Connection, run_id: str) -> int:
    query = "SELECT count(*) FROM event_logs WHERE run_id = :run"
    return int(connection.execute(text(query), {"run": run_id}).scalar_one())


def _wait(look: Callable[[], _T], seconds: float, what: str) -> _T:
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)
    return seen


def _p95(values: list[float] | tuple[float, ...]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument(
        "--wake-up-seconds", type=float, default=0, help="let the sensor wait for the websocket's hints"
    )
    given = parser.parse_args()
    # So that the daemon and the database end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chain = {"wake_up_seconds": given.wake_up_seconds} if given.wake_up_seconds else {}
    print(json.dumps(measure(given.changes, **chain), indent=2))


if __name__ == "__main__":
    main()
