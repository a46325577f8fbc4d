"""What most commands need: the database, the connections, the Dagster instance, and who is asking."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.registry import SECTIONS
from sync_pipelines.settings import CONNECTIONS_VARIABLE, connections_path, load_section
from sync_pipelines.store.database import connect_engine, resolve_database_url
from sync_pipelines.store.migrations import migrate

if TYPE_CHECKING:
    from dagster import DagsterInstance

PIPELINE = "offerings"
DAGSTER_VARIABLE = "DAGSTER_HOME"


@contextmanager
def open_store() -> Iterator[Engine]:
    """Open the store's database, its schema brought up to date, for the time of the block.

    Raises:
        ConfigurationError: it cannot be reached, or is of no use.
    """
    engine = connect_engine(resolve_database_url().sync_url, application_name="sync-pipelines-cli", pool_size=2)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


def connections() -> tuple[OfferingsConnection, ...]:
    """Return the enabled connections.

    Raises:
        ConfigurationError: the connections file is wrong, or has no enabled connection.
    """
    found = tuple(c for c in load_section(PIPELINE, OfferingsConnection, known=SECTIONS) if c.enabled)
    if found:
        return found
    path = connections_path()
    if path is None:
        raise ConfigurationError(
            f"there is no connections file: set {CONNECTIONS_VARIABLE}, or write a connections.yaml here "
            "(deploy/connections.example.yaml shows the format; 'sync-pipelines demo' needs none)"
        )
    raise ConfigurationError(f"{path}: there is no enabled connection under {PIPELINE!r}")


def choose(configured: Sequence[OfferingsConnection], wanted: str | None) -> list[OfferingsConnection]:
    """Return the connections with a name or a provider address; all of them for ``None``.

    Raises:
        ConfigurationError: there is none.
    """
    chosen = [c for c in configured if wanted in (None, c.name, c.provider)]
    if not chosen:
        names = ", ".join(f"{c.name} ({c.provider})" for c in configured)
        raise ConfigurationError(f"no connection is named {wanted!r} or has that provider; there are {names}")
    return chosen


def provider_of(offering_id: str) -> str:
    """Return the provider's address in an offering id.

    Raises:
        ConfigurationError: it is no offering id.
    """
    provider, slash, sequence = offering_id.rpartition("/")
    if not slash or not provider or not sequence.isdecimal():
        raise ConfigurationError(f"{offering_id!r} is not an offering id; it has the form <provider address>/<number>")
    return provider


def project_folder() -> Path:
    """Return the folder with dagster.yaml and workspace.yaml: the source checkout, else the current folder.

    Raises:
        ConfigurationError: neither has them.
    """
    checkout = Path(__file__).resolve().parents[2]
    for folder in (checkout, Path.cwd()):
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            return folder
    raise ConfigurationError(
        "dagster.yaml and workspace.yaml are not found: run this in the project folder, "
        f"or set {DAGSTER_VARIABLE} to the folder that has them"
    )


@contextmanager
def dagster_instance() -> Iterator[DagsterInstance]:
    """Open the Dagster instance of ``DAGSTER_HOME``, else of the project folder, for the time of the block."""
    if not os.environ.get(DAGSTER_VARIABLE):
        os.environ[DAGSTER_VARIABLE] = str(project_folder())
    elif not Path(os.environ[DAGSTER_VARIABLE]).is_dir():
        raise ConfigurationError(f"{DAGSTER_VARIABLE}={os.environ[DAGSTER_VARIABLE]}: there is no such folder")
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        yield instance


def operator() -> str:
    """Return who is asking, for approvals and the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
