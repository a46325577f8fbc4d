"""How errors are worded."""

from __future__ import annotations

from collections.abc import Sequence

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.settings import CONNECTIONS_VARIABLE, connections_path

NO_CONNECTIONS_FILE = (
    f"there is no connections file: set {CONNECTIONS_VARIABLE}, or write a connections.yaml here "
    "(deploy/connections.example.yaml shows the format; 'sync-pipelines demo' needs none)"
)


def none_enabled(*sections: str, kind: str = "enabled connection", others: Sequence[str] = ()) -> ConfigurationError:
    """Return the error for a connections file that has nothing under these sections, or is not there at all.

    Arguments:
        kind: what is missing under them.
        others: what to say of sections that do have something.
    """
    path = connections_path()
    if path is None:
        return ConfigurationError(NO_CONNECTIONS_FILE)
    told = f"{path}: there is no {kind} under {' or '.join(map(repr, sections))}"
    return ConfigurationError("; ".join([told, *others]))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no details"
