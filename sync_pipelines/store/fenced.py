"""Transactions under a lease that get over a restart of the database.

A connection can break at two moments. Before COMMIT was sent, surely nothing was done, and the work is done again on a
new connection. After that PostgreSQL is asked what became of the transaction: it keeps the outcome of every transaction
id, also over a crash. So nothing is done twice, and nothing is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sync_pipelines.core.errors import DatabaseUnavailable
from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease
from sync_pipelines.store.outage import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OUTAGE_SECONDS,
    OUTAGES,
    described,
    is_broken,
    unavailable,
)
from sync_pipelines.store.statements import text

T = TypeVar("T")


class FencedWriter:
    """Runs transactions on a connection of its own, each fenced by the lease. Not for two threads at once."""

    def __init__(self, engine: Engine, lease: Lease, outage_seconds: float = OUTAGE_SECONDS) -> None:
        self._engine = engine
        self._lease = lease
        self._outage_seconds = outage_seconds
        self._connection: Connection | None = None

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Do the work in a transaction and return its result once that is committed.

        The work may be done several times, of which one is committed.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
            DatabaseUnavailable: the database did not come back, or it cannot be known what it did.
        """
        deadline = time.monotonic() + self._outage_seconds
        pause = FIRST_PAUSE
        while True:
            try:
                return self._attempt(work, deadline)
            except _Interrupted as interrupted:
                if time.monotonic() + pause > deadline:
                    raise unavailable(self._engine, interrupted.cause) from None
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[Connection], T], deadline: float) -> T:
        connection = self._open()
        try:
            transaction = connection.begin()
            number = leases.fence(connection, self._lease)
            result = work(connection)
        except BaseException as error:
            if is_broken(error) or (isinstance(error, OUTAGES) and _is_closed(connection)):
                self._drop()
                raise _Interrupted(error) from None
            connection.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if not is_broken(error):
                raise
            self._drop()
            if not self._was_committed(number, error, deadline):
                raise _Interrupted(error) from None
        return result

    def _open(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except PoolTimeout as error:
                raise unavailable(self._engine, error) from None
            except OUTAGES as error:
                raise _Interrupted(error) from None
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self.close()

    def _was_committed(self, number: str, cause: BaseException, deadline: float) -> bool:
        pause = FIRST_PAUSE
        while (status := self._status(number)) not in ("committed", "aborted"):
            # "in progress": the session that broke off is not over yet.
            if time.monotonic() + pause > deadline:
                raise DatabaseUnavailable(
                    f"{described(self._engine)} broke off in the middle of a commit and did not say since what became "
                    f"of it ({status or 'no answer'}). Nothing is lost: the next run looks at the target before it "
                    "writes. Run again once the database answers"
                ) from cause
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return status == "committed"

    def _status(self, number: str) -> str | None:
        try:
            connection = self._open()
            with connection.begin():
                asked = text("SELECT pg_xact_status(CAST(CAST(:number AS text) AS xid8))")
                return connection.execute(asked, {"number": number}).scalar()
        except _Interrupted:
            return None
        except DBAPIError as error:
            if not is_broken(error):
                raise
            self._drop()
            return None


def _is_closed(connection: Connection) -> bool:
    """Say whether the driver's connection is gone. What COPY meets with, SQLAlchemy does not hear of."""
    driver = None if connection.invalidated else connection.connection.driver_connection
    return isinstance(driver, psycopg.Connection) and driver.closed


class _Interrupted(Exception):
    """The connection broke, and surely nothing was committed."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause
