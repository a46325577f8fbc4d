"""How errors are worded."""

from __future__ import annotations

import re

from sync_pipelines.settings import CONNECTIONS_VARIABLE

NO_CONNECTIONS_FILE = (
    f"there is no connections file: set {CONNECTIONS_VARIABLE}, or write a connections.yaml here "
    "(deploy/connections.example.yaml shows the format; 'sync-pipelines demo' needs none)"
)

# "package.module.SomeError: ..." as tracebacks and Dagster print it.
_CLASS = re.compile(r"^(?:[A-Za-z_]\w*\.)+[A-Z]\w*: ")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no details"


def without_class(message: str) -> str:
    """Return an error's message without the dotted name of its class in front."""
    return _CLASS.sub("", message.strip(), count=1).strip()
