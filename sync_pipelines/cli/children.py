"""The demo's child processes: started with a log each, watched, and ended together whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from sync_pipelines.cli.process_groups import end
from sync_pipelines.core.errors import SyncError

GRACE_SECONDS = 16.0
_SHOWN_LINES = 15
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChildDied(SyncError):
    """A child process ended although it should go on."""


class Children:
    """Child processes, each in a session and process group of its own.

    A keeper process ends them when this process is killed. From :meth:`open` on, the first SIGINT, SIGTERM or SIGHUP
    raises ``KeyboardInterrupt``; while the children are ended, a signal kills instead of waiting.

    Arguments:
        logs: folder for a log file each.
        folder: where they run.
        lock: descriptor of a lock file; the keeper holds it until everything has ended.
    """

    def __init__(self, logs: Path, folder: Path, lock: int) -> None:
        self._logs = logs
        self._folder = folder
        self._lock = lock
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._keeper: subprocess.Popen[str] | None = None
        self._holding = False
        self._told = 0

    def open(self) -> None:
        """Start the keeper and take over the signals."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for number in _ENDING:
            signal.signal(number, self._on_signal)
        with self._undisturbed(), self._log("keeper") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "sync_pipelines.cli.keeper"],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                start_new_session=True,
                pass_fds=[self._lock],
            )

    def start(self, name: str, command: Sequence[str], *, pipe: bool = False) -> subprocess.Popen[str]:
        """Start ``python -m ...`` with its output in ``<name>.log``; with ``pipe`` its stdout is for the caller."""
        with self._undisturbed(), self._log(name) as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            self._running[name] = child
            self._tell(f"group {child.pid}")
        return child

    def also_stop_postgres(self, folder: Path) -> None:
        """Have the keeper stop an embedded server as well, should this process be killed."""
        self._tell(f"postgres {folder}")

    def check(self) -> None:
        """Raise :class:`ChildDied` with the end of its log when a child is no longer there."""
        for name, child in self._running.items():
            code = child.poll()
            if code is not None:
                log = self._logs / f"{name}.log"
                lines = log.read_text("utf-8", "replace").splitlines()[-_SHOWN_LINES:]
                raise ChildDied(
                    f"{name} ended with code {code}. {log} ends:\n" + "\n".join(f"  {line}" for line in lines)
                )

    def end(self) -> None:
        """End all children; nothing of theirs is left afterwards."""
        self._holding = True
        # A signal from here on only hurries.
        told = self._told
        end(
            [child.pid for child in self._running.values()],
            grace_seconds=GRACE_SECONDS,
            hurry=lambda: self._told > told,
        )
        for child in self._running.values():
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        self._running.clear()

    def release_keeper(self) -> None:
        """Let the keeper go: everything it would end has ended."""
        keeper, self._keeper = self._keeper, None
        if keeper is None or keeper.stdin is None:
            return
        with suppress(BrokenPipeError):
            keeper.stdin.write("done\n")
            keeper.stdin.close()
        keeper.wait()

    def _tell(self, line: str) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            return
        with suppress(BrokenPipeError):
            self._keeper.stdin.write(line + "\n")
            self._keeper.stdin.flush()

    def _log(self, name: str) -> IO[str]:
        return (self._logs / f"{name}.log").open("w", encoding="utf-8")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._told += 1
        if not self._holding and self._told == 1:
            raise KeyboardInterrupt

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Hold a signal back: a child must not be started and then forgotten."""
        self._holding, before = True, self._told
        try:
            yield
        finally:
            self._holding = False
        if self._told > before:
            raise KeyboardInterrupt
