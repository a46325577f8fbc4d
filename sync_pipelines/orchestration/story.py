"""The log of a run, told in few messages: each is a row of Dagster's event log, which takes some 50 a second."""

from __future__ import annotations

import logging
from threading import Timer
from types import TracebackType

PAUSE_SECONDS = 20.0
"""What was said waits at most this long for more."""


class Story(logging.Handler):
    """A context manager that gives a logger, and joins what is said to it into few messages.

    What was said is passed on when it is some seconds old, when a warning comes (which is passed on at once), and when
    the block ends with an error. What is left when the block ends well is for the caller: see :meth:`rest`.

    Arguments:
        target: gets the messages.
        pause: seconds that a line waits for more.
    """

    def __init__(self, target: logging.Logger, *, pause: float = PAUSE_SECONDS) -> None:
        super().__init__(logging.INFO)
        self._target = target
        self._pause = pause
        self._lines: list[str] = []
        self._timer: Timer | None = None

    def __enter__(self) -> logging.Logger:
        logger = logging.Logger(__name__, logging.INFO)
        logger.addHandler(self)
        return logger

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, or pass on a warning. Called with the handler's lock held."""
        if record.levelno > logging.INFO:
            self.flush()
            self._target.log(record.levelno, "%s", self.format(record))
            return
        self._lines.append(self.format(record))
        if self._timer is None:
            self._timer = Timer(self._pause, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Pass on what was said so far."""
        if lines := self.rest():
            self._target.info("%s", lines)

    def rest(self) -> str:
        """Return what was said and not passed on yet; it counts as passed on from now."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            lines, self._lines = self._lines, []
            return "\n".join(lines)
        finally:
            self.release()
