"""Lets a run in this process end as by SIGKILL, as far as the database can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@contextmanager
def killed_after(engine: Engine, statements: int) -> Iterator[None]:
    """Let the process die before one of its next statements: from then on it says nothing more to the database."""
    left = statements

    def count(_connection: Connection, cursor: Any, *_: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            # SQLAlchemy leaves it to the garbage collector here, and the driver warns of that at any later time.
            cursor.close()
            raise Killed

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)
