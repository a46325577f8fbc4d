"""Worlds of stand-ins that outlast their process: on disk before a change is acknowledged, read again at a start."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.sandbox.server import serve

# Locks, clocks, hooks and listeners belong to a process, as do other servers; the logs are for tests.
_NOT_KEPT = frozenset(
    {
        *("_lock", "guard", "_listeners", "_clock", "_now", "_hooks", "_held", "_listings", "clock", "uaa"),
        *("requests", "mutations", "calls"),
    }
)


class StateUnreadable(Exception):
    """A saved world cannot be read, e.g. because another release wrote it."""


class SavingWrites:
    """ASGI middleware: the state is on disk before a write is acknowledged.

    Arguments:
        prefix: paths below which requests other than GET change the world.
        save: called in the thread that changes the world: nothing is half done meanwhile.
    """

    def __init__(self, app: ASGIApp, prefix: str, save: Callable[[], None]) -> None:
        self._app = app
        self._prefix = prefix
        self._save = save

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return

        async def save_first(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._save()
            await send(message)

        await self._app(scope, receive, save_first)


def restored(path: Path, kind: Callable[[], Any], make: Callable[[], Any]) -> Any:
    """Return the world as it was saved, else a new one.

    Raises:
        StateUnreadable: what is in the file cannot be read.
    """
    if not path.is_file():
        return make()
    try:
        state = pickle.loads(path.read_bytes())
        world = kind()
        vars(world).update(state)
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError, ValueError) as error:
        raise StateUnreadable(f"{path} cannot be read ({error}); start over with --fresh") from error
    return world


def save(world: object, path: Path) -> None:
    """Write a world's state, whole or not at all."""
    kept = {name: value for name, value in vars(world).items() if name not in _NOT_KEPT}
    new = path.with_suffix(".new")
    new.write_bytes(pickle.dumps(kept))
    os.replace(new, path)


def served(stack: ExitStack, app: ASGIApp, port: int) -> str:
    """Serve until the stack is left, on another port when the wanted one is taken. Returns the base URL."""
    try:
        return stack.enter_context(serve(app, port=port))
    except OSError:
        return stack.enter_context(serve(app))
