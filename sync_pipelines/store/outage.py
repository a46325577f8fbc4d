"""A database that cannot be used now: how it shows, and what to say about it to an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sync_pipelines.core.errors import DatabaseUnavailable

OUTAGE_SECONDS = 25.0
"""How long a run waits for a database that restarts; a longer outage would outlast its lease."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to reach it, doubled from one to the other."""

OUTAGES = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)
"""Errors that mean that the database cannot be reached, went away, or has no connection to spare."""


def is_broken(error: BaseException) -> bool:
    """Say whether an error means that a connection which was open is gone."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def unavailable(engine: Engine, error: BaseException) -> DatabaseUnavailable:
    """Return an outage in words: which database, what it said, and what to do."""
    return DatabaseUnavailable(
        f"{described(engine)} cannot be used: {_reason(engine, error)}. "
        "Nothing is lost: what was settled is kept, and the next run takes up the rest. Run again once it answers"
    )


def described(engine: Engine) -> str:
    """Return which database it is, without its password."""
    return f"the database {engine.url.render_as_string(hide_password=True)}"


@contextmanager
def outages_in_words(engine: Engine) -> Iterator[None]:
    """Let an outage leave the block as :class:`DatabaseUnavailable`, without the driver's traceback.

    Raises:
        DatabaseUnavailable: the database could not be used within the block.
    """
    try:
        yield
    except OUTAGES as error:
        raise unavailable(engine, error) from None


def _reason(engine: Engine, error: BaseException) -> str:
    if isinstance(error, PoolTimeout):
        return (
            f"all connections of this process are in use ({engine.pool.status()}); a run needs three: one for each "
            "side that is read and one for everything else"
        )
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
