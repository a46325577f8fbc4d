"""How errors are worded."""

from __future__ import annotations

from sync_pipelines.settings import CONNECTIONS_VARIABLE

NO_CONNECTIONS_FILE = (
    f"there is no connections file: set {CONNECTIONS_VARIABLE}, or write a connections.yaml here "
    "(deploy/connections.example.yaml shows the format; 'sync-pipelines demo' needs none)"
)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no details"
