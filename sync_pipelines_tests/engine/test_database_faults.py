"""PostgreSQL that restarts, dies in the middle of a commit, stays away, or has no connection to spare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, PoolProxiedConnection, create_engine, event

from sync_pipelines.core.errors import DatabaseUnavailable
from sync_pipelines.core.lifecycle import State
from sync_pipelines.engine.context import working_on
from sync_pipelines.store import audit
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import ensure_running, stop
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.migrations import migrate
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines_tests.engine.worlds import World, after, before

RECORDS = 10


@dataclass(frozen=True)
class Own:
    """A server that a test may stop, and a world on it."""

    folder: Path
    world: World

    def restart(self) -> None:
        """Stop the server and start it again: every connection breaks."""
        stop(self.folder)
        ensure_running(self.folder)

    def cut(self) -> None:
        """End every session but our own, as an administrator does."""
        with ensure_running(self.folder).connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                "AND pid <> pg_backend_pid()"
            )


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A durable server of this module's own: what a restart keeps is what is tested."""
    folder = tmp_path_factory.mktemp("restarted")
    ensure_running(folder)
    yield folder
    stop(folder)


@pytest.fixture
def own(own_folder: Path) -> Iterator[Own]:
    """A fresh database on the module's server."""
    server = ensure_running(own_folder)
    with server.connect() as connection:
        connection.execute('DROP DATABASE IF EXISTS "world" WITH (FORCE)')
        connection.execute('CREATE DATABASE "world"')
    engine = connect_engine(server.url("world"))
    migrate(engine)
    world = World(engine)
    world.fill(RECORDS)
    yield Own(own_folder, world)
    engine.dispose()


def _is_as_undisturbed(world: World) -> None:
    assert world.agrees()
    assert len(world.right.rows) == RECORDS
    assert world.right.sent["create"] == RECORDS
    assert world.tally() == {State.SYNCED: RECORDS}
    assert world.sql("SELECT count(*) FROM sync.effect WHERE state <> 'settled'") == [(0,)]
    entries = [entry["key"] for entry in world.audit() if entry["action"] == "create"]
    assert sorted(entries) == sorted(world.left.rows)
    with world.engine.begin() as connection:
        assert audit.verify(connection, "worlds").intact
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.parametrize("moment", [after, before], ids=["before a create", "after a create"])
@pytest.mark.parametrize("trouble", [Own.restart, Own.cut], ids=["restarted", "sessions ended"])
def test_given_a_database_that_restarts_while_changes_are_applied_then_the_run_goes_on(
    own: Own, trouble: Callable[[Own], None], moment: Any
) -> None:
    own.world.right.script("create", "nk-k03", moment(lambda: trouble(own)))

    result = own.world.reconcile()

    assert result.applied is not None
    assert result.applied.outcomes == {"applied": RECORDS}
    _is_as_undisturbed(own.world)


@pytest.mark.parametrize("happened", [True, False], ids=["the commit happened", "the commit did not happen"])
@pytest.mark.parametrize("text", ["INSERT INTO sync.effect", "UPDATE sync.effect SET state = 'settled'"])
def test_given_a_connection_lost_during_a_commit_then_the_database_is_asked_and_nothing_is_done_twice(
    own: Own, text: str, happened: bool
) -> None:
    _lose_a_commit(own.world.engine, text, happened=happened)

    result = own.world.reconcile()

    assert result.applied is not None
    assert result.applied.outcomes == {"applied": RECORDS}
    _is_as_undisturbed(own.world)


def _lose_a_commit(engine: Engine, text: str, *, happened: bool) -> None:
    """Break the connection at the first commit after a statement, before or after the server has done it."""
    seen: list[str] = []
    commit = engine.dialect.do_commit

    @event.listens_for(engine, "after_cursor_execute")
    def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if text in statement and not seen:
            seen.append(statement)

    def lose(dbapi_connection: PoolProxiedConnection) -> None:
        if len(seen) != 1:
            commit(dbapi_connection)
            return
        seen.append("lost")
        driver = dbapi_connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        if happened:
            commit(dbapi_connection)
        driver.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    engine.dialect.do_commit = lose  # type: ignore[method-assign]  # of this engine only


def test_given_a_database_that_restarts_while_a_side_is_read_then_the_run_says_so_and_the_next_one_does_it_all(
    own: Own,
) -> None:
    world = own.world
    swept = world.left.sweep

    def disturbed(sweep: Any) -> Any:
        async def pages() -> Any:
            async for page in swept(sweep):
                yield page
                if sweep.seen == len(page):
                    own.restart()

        return pages()

    world.left.sweep = disturbed  # type: ignore[method-assign]  # a script of this test
    with pytest.raises(
        DatabaseUnavailable, match=r"the database postgresql.*world.* cannot be used: .*Run again"
    ) as said:
        world.reconcile()
    world.left.sweep = swept  # type: ignore[method-assign]  # as above

    assert said.value.__cause__ is None
    assert world.right.rows == {}
    world.sql("UPDATE sync.lease SET expires_at = now()")
    world.reconcile()
    _is_as_undisturbed(world)


def test_given_a_database_that_stays_away_then_the_journal_gives_up_in_words(own: Own) -> None:
    world = own.world

    async def work() -> None:
        async with working_on(world.engine, world.pair, "run", world.log) as run:
            writer = FencedWriter(world.engine, run.lease, outage_seconds=0.5)
            stop(own.folder)
            try:
                writer.transaction(lambda connection: None)
            finally:
                writer.close()

    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        asyncio.run(work())
    ensure_running(own.folder)
    world.sql("UPDATE sync.lease SET expires_at = now()")
    world.reconcile()
    _is_as_undisturbed(world)


def _engine_of(url: str, size: int) -> Engine:
    return create_engine(url, pool_size=size, max_overflow=0, pool_timeout=1.0)


def test_given_a_database_that_is_away_for_a_moment_then_a_request_waits_for_its_turn(own: Own) -> None:
    gate = PeerGate(own.world.engine, PeerLimits(rate=10.0))

    async def work() -> None:
        await asyncio.to_thread(stop, own.folder)
        turn = asyncio.create_task(gate.admit("target"))
        await asyncio.sleep(0.5)
        assert not turn.done()
        await asyncio.to_thread(ensure_running, own.folder)
        await turn

    asyncio.run(work())
    assert own.world.sql("SELECT count(*) FROM sync.peer") == [(1,)]


@pytest.mark.parametrize("size", [1, 3])
def test_given_an_exhausted_pool_then_the_run_ends_soon_and_says_what_it_needs(database_url: str, size: int) -> None:
    engine = _engine_of(database_url, size)
    held = [engine.connect() for _ in range(size)]
    world = World(engine)
    world.fill(RECORDS)

    with pytest.raises(DatabaseUnavailable, match="a run needs three"):
        world.reconcile()

    for connection in held:
        connection.close()
    engine.dispose()
    world.engine = connect_engine(database_url)
    world.sql("UPDATE sync.lease SET expires_at = now()")
    world.reconcile()
    _is_as_undisturbed(world)
    world.engine.dispose()


def test_given_three_connections_then_a_run_comes_through(database_url: str) -> None:
    engine = _engine_of(database_url, 3)
    world = World(engine, policies={"in_flight": 8})
    world.fill(RECORDS)

    world.reconcile()

    _is_as_undisturbed(world)
    engine.dispose()
