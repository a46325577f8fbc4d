"""Transactions that stay open: begun, not yet committed, seen by nobody."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo.errors import serialization_failure
from sync_pipelines.sandbox.odoo.tables import Journal

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.world import OdooWorld


class SlowWrite:
    """A transaction of somebody else, in the hands of a test.

    Attributes:
        began: its ``write_date``.
    """

    def __init__(self, world: OdooWorld) -> None:
        self._world = world
        self._env = world.env(Journal())
        self.began = self._env.now[:19]

    def create(self, model: str, **values: Any) -> int:
        """Create a record; its id is taken now."""
        with self._world.guard:
            self._resume()
            try:
                return self._env[model].create(self._env, [values])[0]
            finally:
                self._env.journal.undo()

    def write(self, model: str, record: int, **values: Any) -> None:
        """Change a record."""
        with self._world.guard:
            self._resume()
            try:
                self._env[model].write(self._env, [record], values)
            finally:
                self._env.journal.undo()

    def commit(self) -> None:
        """Let everybody see it.

        Raises:
            OdooError: a SerializationFailure, when others changed the same records meanwhile.
        """
        with self._world.guard:
            self._resume()
            self._env.journal.changes.clear()

    def rollback(self) -> None:
        """Forget it."""
        with self._world.guard:
            self._env.journal.changes.clear()

    def _resume(self) -> None:
        if not self._env.journal.redo():
            raise serialization_failure()


class Held:
    """An HTTP call whose transaction is kept open: it has run, and nobody sees what it did.

    Arguments:
        call: which call it waits for.

    Attributes:
        started: set once the call has run.
    """

    def __init__(self, call: re.Pattern[str]) -> None:
        self.call = call
        self.started = threading.Event()
        self._released = False
        self._wake: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def release(self) -> None:
        """Let it commit and be answered, whether it has run yet or not."""
        with self._lock:
            self._released = True
            if self._wake is not None:
                self._wake()

    def wait(self, wake: Callable[[], object]) -> None:
        """Have ``wake`` called at the release."""
        with self._lock:
            self._wake = wake
            if self._released:
                wake()
        self.started.set()
