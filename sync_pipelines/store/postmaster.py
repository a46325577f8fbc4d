"""Looks at the processes of the embedded server: which one it is, whether it answers, what a killed one left."""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from sync_pipelines.core.errors import ConfigurationError

PORT = 5432
_CLEAR_SECONDS = 15
_ANSWER_SECONDS = 10
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROC = Path("/proc")


@dataclass(frozen=True)
class Postmaster:
    """What a server says of itself.

    Attributes:
        pid: its first process.
        socket_dir: folder of its socket.
        ready: whether it has come up.
    """

    pid: int
    socket_dir: Path
    ready: bool


def read_postmaster_file(folder: Path) -> Postmaster | None:
    """The server's own account of itself: one value a line, written line by line while it starts."""
    try:
        lines = (folder / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    socket_dir = Path(lines[4]) if len(lines) > 4 else folder / "run"
    return Postmaster(pid, socket_dir, ready=len(lines) > 7 and lines[7].strip() == "ready")


def is_postmaster(pid: int, folder: Path) -> bool:
    """Whether process ``pid`` is the server of ``folder``, and not another that got its number since."""
    if (_PROC / "self").exists():
        return _works_in(_PROC / str(pid), folder / "data")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _works_in(process: Path, data: Path) -> bool:
    """Whether a process is one of the server's: their current folder is the data folder. Not so a zombie."""
    try:
        return os.path.samefile(process / "cwd", data)
    except OSError:
        return False


def clear_remains(folder: Path, socket_dir: Path) -> None:
    """Remove the lock files of a server that was killed, once all its processes are gone.

    PostgreSQL goes by the process number alone: it refuses to start while a zombie, or after a reboot any process of
    the same user, has that number.
    """
    lock_file = folder / "data" / "postmaster.pid"
    if not lock_file.exists() or not (_PROC / "self").exists():
        return
    deadline = time.monotonic() + _CLEAR_SECONDS
    while left := [process.name for process in _PROC.glob("[0-9]*") if _works_in(process, folder / "data")]:
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"Processes of a killed PostgreSQL still work in {folder / 'data'}: {', '.join(left)}. "
                "End them, then try again."
            )
        time.sleep(0.1)
    for remains in (lock_file, socket_dir / f".s.PGSQL.{PORT}", socket_dir / f".s.PGSQL.{PORT}.lock"):
        remains.unlink(missing_ok=True)


def answers(socket_dir: Path) -> bool:
    """Whether a living server is behind the socket. A killed one may still let clients connect for a moment.

    An SSLRequest gets its one-byte answer without a login, and even when all connections are taken.
    """
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_ANSWER_SECONDS)
            probe.connect(str(socket_dir / f".s.PGSQL.{PORT}"))
            probe.sendall(_SSL_REQUEST)
            return probe.recv(1) != b""
    except OSError:
        return False
