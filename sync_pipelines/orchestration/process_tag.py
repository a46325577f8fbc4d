"""Names the process that carries out a run itself, so that others can see whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROCESS_TAG = "sync/process"
"""Run tag with host, process id and start of the process; runs of Dagster's launcher do not have it."""


def this_process() -> str:
    """Return the tag's value for this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(value: str) -> bool:
    """Say whether the process of a tag is surely gone: of this host, and not there or started at another time."""
    host, _, rest = value.rpartition(":")[0].rpartition(":")
    started = value.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(rest)) != started


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty where the system does not tell."""
    try:
        # The name in parentheses may hold blanks; 20 fields after it comes the start.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
