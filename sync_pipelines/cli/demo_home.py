"""The demo's own folder and environment: nothing of it mixes with real connections and real data."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sync_pipelines.cli.demo_service import service_variables
from sync_pipelines.cli.session import DAGSTER_VARIABLE
from sync_pipelines.core.errors import SyncError
from sync_pipelines.sandbox.demo import demo_tokens
from sync_pipelines.sandbox.demo_commerce import commerce_secrets
from sync_pipelines.sandbox.demo_deployments import deployment_secrets
from sync_pipelines.sandbox.demo_marketplaces import marketplace_secrets
from sync_pipelines.settings import CONNECTIONS_VARIABLE
from sync_pipelines.store import database, embedded
from sync_pipelines.store.home import home_folder

SHELL_FILE = "environment.sh"
_FOREIGN = (database.SYNC_VARIABLE, database.DAGSTER_VARIABLE)
_GUIDE_PREFIXES = ("VIRTENGINE_", "BLACKSMITH_", "SCHEDULER_")
_GUIDE_NAMES = ("CANISTER_ID", "ENVIRONMENT", "FLUSH_INTERVAL_SECONDS", "MAX_RETRY_ATTEMPTS", "SKIP_SCHEDULER_AUTH")


@dataclass(frozen=True)
class DemoHome:
    """Where the demo keeps its things: ``demo/`` in the home folder.

    Attributes:
        folder: is the demo's ``SYNC_HOME``, so that it has an embedded server of its own.
        project: folder with dagster.yaml and workspace.yaml.
        lock: descriptor of the lock file; held by one demo at a time.
    """

    folder: Path
    project: Path
    lock: int

    @property
    def postgres(self) -> Path:
        """Folder of the embedded server."""
        return self.folder / "postgres"

    @property
    def logs(self) -> Path:
        """Folder of the children's logs."""
        return self.folder / "logs"

    @property
    def stand_ins(self) -> Path:
        """Folder of the stand-ins' state."""
        return self.folder / "stand_ins"

    @property
    def connections(self) -> Path:
        """The connections file."""
        return self.folder / "connections.yaml"

    @property
    def shell_file(self) -> Path:
        """A file to be sourced by a shell, so that other commands work on the demo."""
        return self.folder / SHELL_FILE

    @property
    def variables(self) -> dict[str, str]:
        """Environment of everything that works on the demo."""
        return {
            "SYNC_HOME": str(self.folder),
            CONNECTIONS_VARIABLE: str(self.connections),
            DAGSTER_VARIABLE: str(self.project),
            **demo_tokens(),
            **deployment_secrets(),
            **commerce_secrets(),
            **marketplace_secrets(),
            **service_variables(),
        }

    def write_connections(self, document: Mapping[str, Any]) -> None:
        """Write the connections file, and the file for shells."""
        text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
        _replace(self.connections, "# Written by the demo at every start.\n" + text)
        lines = [f"unset {name}" for name in _FOREIGN]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in self.variables.items()]
        _replace(self.shell_file, "\n".join(lines) + "\n")

    def forget(self) -> None:
        """Remove what earlier demos left: records, runs, and what happened at the stand-ins."""
        embedded.stop(self.postgres)
        for path in self.folder.iterdir():
            if path.name == "lock":
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def demo_home(project: Path) -> Iterator[DemoHome]:
    """Hold the demo's folder for the time of the block.

    Raises:
        SyncError: another demo holds it.
    """
    home = home_folder()
    # A shell that has sourced the demo's variables is in it already.
    folder = home if (home / SHELL_FILE).is_file() else home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SyncError(
                f"a demo is running already in {folder}, or is just ending: use it, stop it, or try again in a moment"
            ) from None
        yield DemoHome(folder, project, lock)
    finally:
        os.close(lock)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Work in the demo's environment: its variables, and none that would lead to other data."""
    before = dict(os.environ)
    leading_elsewhere = (*_FOREIGN, *_GUIDE_NAMES)
    for name in [name for name in os.environ if name in leading_elsewhere or name.startswith(_GUIDE_PREFIXES)]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
