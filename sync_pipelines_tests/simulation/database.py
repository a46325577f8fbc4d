"""The real PostgreSQL by the virtual clock, with connections that die with their process."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event, text

from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.migrations import migrate
from sync_pipelines_tests.simulation.clock import BEGINNING, Clock
from sync_pipelines_tests.simulation.process import Killed, Process

_CLOCK = """
CREATE SCHEMA virtual;
CREATE FUNCTION virtual.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT pg_catalog.current_setting('virtual.now')::timestamptz $$;
CREATE FUNCTION virtual.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT pg_catalog.current_setting('virtual.now')::timestamptz $$;
"""
_SETTINGS = {
    # Named before pg_catalog: an unqualified now(), also that of a column's default, is the virtual one.
    "search_path": "virtual, pg_catalog, public",
    "virtual.now": f"'{BEGINNING.isoformat()}'",
    # A lock that is never given back is a mistake to be seen, not to be waited for.
    "lock_timeout": "'10s'",
    # The worlds are tiny: what would be saved by planning well is less than the planning costs.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "synchronous_commit": "off",
    "track_activities": "off",
    "track_counts": "off",
}
_numbers = itertools.count(1)


class Terminal:
    """One process's pool of connections. It dies with the process: open transactions are rolled back by the server."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.process: Process | None = None
        self.engine = connect_engine(url)
        # A connection that was cut is never used again: asking each one whether it lives is a fifth of the statements.
        self.engine.pool._pre_ping = False
        # The pool tells of connections that were cut under its hands; that is what a kill is.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        self._open: dict[int, psycopg.Connection[Any]] = {}
        event.listen(self.engine, "begin", self._set_clock)
        event.listen(self.engine, "rollback", _forget_clock)
        event.listen(self.engine, "before_cursor_execute", self._before_statement)
        event.listen(self.engine, "connect", self._opened)
        self._wrap_commit()

    def cut(self) -> None:
        """Close every connection as the kernel does when a process dies."""
        for connection in self._open.values():
            with suppress(psycopg.Error):
                connection.close()
        self._open.clear()
        self.engine.dispose(close=False)

    def _opened(self, connection: psycopg.Connection[Any], _record: object) -> None:
        self._open[id(connection)] = connection

    def _meet(self, moment: Any) -> None:
        if self.process is not None:
            self.process.meet(moment)

    def _before_statement(self, _connection: Connection, cursor: Any, *_: object) -> None:
        try:
            self._meet("statement")
        except Killed:
            # SQLAlchemy leaves it to the garbage collector here, and the driver warns of that at any later time.
            cursor.close()
            raise

    def _set_clock(self, connection: Connection) -> None:
        now = self.clock.now
        if connection.info.get("virtual now") != now:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            driver.execute(f"SET virtual.now = '{now.isoformat()}'")
            connection.info["virtual now"] = now

    def _wrap_commit(self) -> None:
        commit = self.engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self._meet("before commit")
            commit(connection)
            self._meet("after commit")

        self.engine.dialect.do_commit = do_commit  # type: ignore[assignment,method-assign]  # of this engine only


def _forget_clock(connection: Connection) -> None:
    # A SET is undone with its transaction.
    if not connection.invalidated:
        connection.info.pop("virtual now", None)


class SimulationDatabase:
    """A migrated database that lives by a virtual clock, for one world after the other."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Terminal] = []
        self._all: list[Terminal] = []

    def terminal(self, clock: Clock, process: Process | None = None) -> Terminal:
        """Give a process its connections."""
        terminal = self._idle.pop() if self._idle else self._new()
        terminal.clock, terminal.process = clock, process
        return terminal

    def give_back(self, terminal: Terminal) -> None:
        """Take the connections back from a process that ended as it should."""
        terminal.process = None
        self._idle.append(terminal)

    def discard(self, terminal: Terminal) -> None:
        """Cut the connections of a process that was killed."""
        terminal.cut()
        self._all.remove(terminal)

    def clear(self) -> None:
        """Forget every world."""
        terminal = self.terminal(Clock())
        with terminal.engine.begin() as connection:
            tables = connection.execute(
                text(
                    "SELECT string_agg('sync.' || tablename, ', ') FROM pg_tables WHERE schemaname = 'sync' "
                    "AND tablename <> 'migration'"
                )
            ).scalar_one()
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        self.give_back(terminal)

    def close(self) -> None:
        """Close all connections."""
        for terminal in self._all:
            terminal.cut()

    def _new(self) -> Terminal:
        terminal = Terminal(self._url)
        self._all.append(terminal)
        return terminal


@contextmanager
def simulation_database(server: EmbeddedServer) -> Iterator[SimulationDatabase]:
    """A database for worlds on a server; dropped at the end."""
    name = f"simulation_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        _prepare(server.url(name), name)
        database = SimulationDatabase(server.url(name))
        try:
            yield database
        finally:
            database.close()
    finally:
        with server.connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _prepare(url: str, name: str) -> None:
    def step(work: Callable[[Engine], object]) -> None:
        engine = connect_engine(url)
        work(engine)
        engine.dispose()

    def settings(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(_CLOCK)
            for setting, value in _SETTINGS.items():
                connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET {setting} = {value}')

    step(settings)
    step(migrate)
