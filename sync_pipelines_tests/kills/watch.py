"""Kills this very process at a point, seen in what it says to PostgreSQL and what the peers say to it."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from sqlalchemy import Connection, Engine, event

from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.kills.points import Copy, Moment, Point, Reply, Statement


@dataclass(frozen=True)
class About:
    """What a run to be killed is about: the key of the record, and the paths of requests that write at the target."""

    key: str
    writes: str


def die() -> None:
    """End this process as a machine that loses power would."""
    os.kill(os.getpid(), signal.SIGKILL)


def watch(engine: Engine, point: Point, about: About) -> None:
    """Kill this process as soon as the point is seen."""
    match point.seen:
        case Statement() as statement:
            _watch_statements(engine, statement, about)
        case Reply(number):
            _watch_replies(number, about)
        case Copy(table, number):
            _watch_copies(table.encode(), number)


def _watch_statements(engine: Engine, seen: Statement, about: About) -> None:
    complete: set[int] = set()

    def concerns(statement: str, parameters: Any) -> bool:
        return seen.text in statement and (not seen.names_record or repr(about.key) in repr(parameters))

    @event.listens_for(engine, "before_cursor_execute")
    def before(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if seen.moment is Moment.BEFORE and concerns(statement, parameters):
            die()

    @event.listens_for(engine, "after_cursor_execute")
    def after(connection: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if concerns(statement, parameters):
            if seen.moment is Moment.AFTER:
                die()
            complete.add(id(connection.connection.driver_connection))

    commit = psycopg.Connection.commit

    def watched(connection: psycopg.Connection[Any]) -> None:
        if id(connection) not in complete:
            return commit(connection)
        if seen.moment is Moment.MID_COMMIT:
            connection.pgconn.send_query(b"COMMIT")
            connection.pgconn.flush()
        elif seen.moment is Moment.AFTER_COMMIT:
            commit(connection)
        die()

    psycopg.Connection.commit = watched  # type: ignore[method-assign, assignment]  # watched in this process only


def _watch_replies(number: int, about: About) -> None:
    receive, replies = Transport._receive, 0

    async def watched(transport: Transport, request: httpx.Request) -> httpx.Response:
        nonlocal replies
        response = await receive(transport, request)
        if request.method != "GET" and re.search(about.writes, request.url.path):
            replies += 1
            if replies == number:
                die()
        return response

    Transport._receive = watched  # type: ignore[method-assign, assignment]  # as above


def _watch_copies(table: bytes, number: int) -> None:
    copy, write, copies, doomed = psycopg.Cursor.copy, psycopg.Copy.write, 0, set()

    def watched_copy(cursor: psycopg.Cursor[Any], statement: bytes, *arguments: Any, **options: Any) -> Any:
        nonlocal copies
        copies += table in statement
        if copies == number:
            doomed.add(id(cursor))
        return copy(cursor, statement, *arguments, **options)

    def watched_write(one: psycopg.Copy, rows: bytes) -> None:
        if id(one.cursor) not in doomed:
            return write(one, rows)
        one.connection.pgconn.put_copy_data(rows[: len(rows) // 2])
        one.connection.pgconn.flush()
        die()

    psycopg.Cursor.copy = watched_copy  # type: ignore[method-assign, assignment]  # as above
    psycopg.Copy.write = watched_write  # type: ignore[method-assign, assignment]  # as above
