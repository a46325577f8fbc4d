"""Something that goes on beside a stand-in: blocks that are made, worlds that are saved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeated(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do something every ``seconds`` in a thread of its own, until the block is left."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, name="sandbox-background", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
