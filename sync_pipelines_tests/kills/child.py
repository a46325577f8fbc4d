"""Work in a process of its own that is killed at a point."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.store.database import connect_engine
from sync_pipelines_tests.conformance.subject import Opener
from sync_pipelines_tests.engine.worlds import approve_and_apply
from sync_pipelines_tests.kills.points import Point
from sync_pipelines_tests.kills.watch import About, watch

APPLICATION = "to be killed"
SECONDS = 120
"""A process that was not killed by then hangs."""
Work = Callable[[Engine], object]

# A process forked from a server that has everything imported costs a tenth of a fresh one.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        "sync_pipelines_tests.conformance.registry",
        "sync_pipelines_tests.kills.chain_run",
        "sync_pipelines_tests.kills.ledger_run",
        "sync_pipelines_tests.pipelines.commerce.ordered",
    ]
)

log = logging.getLogger(__name__)


def reconciling(opener: Opener) -> Work:
    """Return the work of one reconcile of everything."""
    return partial(_within, opener, _reconcile)


def approving(opener: Opener, plan_hash: str) -> Work:
    """Return the work of approving a held plan and carrying it out."""
    return partial(_within, opener, partial(_approve, plan_hash))


async def _reconcile(engine: Engine, pair: Pair) -> None:
    await reconcile(engine, pair, run_id="killed", log=log)


async def _approve(plan_hash: str, engine: Engine, pair: Pair) -> None:
    await approve_and_apply(engine, pair, plan_hash, run_id="killed", log=log)


def _within(opener: Opener, do: Callable[[Engine, Pair], Coroutine[Any, Any, None]], engine: Engine) -> None:
    async def run() -> None:
        async with opener(engine) as pair:
            await do(engine, pair)

    asyncio.run(run())


def kill(engine: Engine, work: Work, point: Point, about: About) -> None:
    """Let a process do the work and see it die; returns when PostgreSQL is through with what it had sent.

    Raises:
        AssertionError: it came to an end without passing the point.
    """
    url = engine.url.render_as_string(hide_password=False)
    process = _processes.Process(target=_live, args=(url, work, point, about))
    process.start()
    process.join(SECONDS)
    code = process.exitcode
    process.kill()
    process.join()
    process.close()
    assert code == -signal.SIGKILL, f"the point was never reached: the process was not killed (exit code {code})"
    _wait_for_sessions(engine)


def _live(url: str, work: Work, point: Point, about: About) -> None:
    engine = connect_engine(url, application_name=APPLICATION)
    watch(engine, point, about)
    work(engine)


def _wait_for_sessions(engine: Engine) -> None:
    gone = text(
        "SELECT count(*) = 0 FROM (SELECT pg_stat_clear_snapshot()) AS cleared, pg_stat_activity "
        "WHERE datname = current_database() AND application_name = :name"
    )
    with engine.begin() as connection:
        while not connection.execute(gone, {"name": APPLICATION}).scalar_one():
            connection.execute(text("SELECT pg_sleep(0.005)"))
