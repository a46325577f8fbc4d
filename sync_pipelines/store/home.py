"""Where the project keeps what it writes: the embedded database, run logs, artifacts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def home_folder(env: Mapping[str, str] | None = None) -> Path:
    """Folder for everything that is written at run time, as an absolute path; it may not exist yet.

    ``SYNC_HOME`` names it. Without that it is ``.sync_pipelines`` in the source checkout, or in the current folder when
    the package was installed from a wheel. It does not follow the current folder in a checkout: a daemon that was
    started elsewhere would otherwise get a second, empty database.
    """
    named = (os.environ if env is None else env).get("SYNC_HOME")
    if named:
        return Path(named).expanduser().absolute()
    checkout = _PACKAGE.parent
    base = checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()
    return base / ".sync_pipelines"
