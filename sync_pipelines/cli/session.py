"""What most commands need: the database, the connections, the Dagster instance, and who is asking."""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import Engine

from sync_pipelines.cli.accounts import MARKETPLACES, PULLED, accounts
from sync_pipelines.cli.ledgers import LEDGER, REPLICATED, ledgers
from sync_pipelines.cli.pipelines import PIPELINES, Configured
from sync_pipelines.cli.shops import BOTH_WAYS, COMMERCE, shops
from sync_pipelines.cli.wording import none_enabled
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.database import connect_engine, resolve_database_url
from sync_pipelines.store.migrations import migrate

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAGSTER_VARIABLE = "DAGSTER_HOME"


@contextmanager
def open_store(*, pool_size: int = 2) -> Iterator[Engine]:
    """Open the store's database, its schema brought up to date, for the time of the block.

    Arguments:
        pool_size: connections kept open; whoever writes to peers needs more than one who looks.

    Raises:
        ConfigurationError: it cannot be reached, or is of no use.
    """
    engine = connect_engine(resolve_database_url().sync_url, application_name="sync-pipelines-cli", pool_size=pool_size)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


def pairs() -> tuple[Configured, ...]:
    """Return the enabled connections of all pipelines that reconcile; maybe none.

    Raises:
        ConfigurationError: the connections file is wrong.
    """
    return tuple(Configured(pipeline, one) for pipeline in PIPELINES.values() for one in pipeline.load())


def connections() -> tuple[Configured, ...]:
    """Return the enabled connections of all pipelines that reconcile.

    Raises:
        ConfigurationError: the connections file is wrong, or has no enabled connection.
    """
    found = pairs()
    if found:
        return found
    others = [
        *([REPLICATED] if ledgers() else []),
        *([BOTH_WAYS] if shops() else []),
        *([PULLED] if accounts() else []),
    ]
    raise none_enabled(*PIPELINES, others=others)


def choose(configured: Sequence[Configured], wanted: str | None) -> list[Configured]:
    """Return the connections that a word of the command line stands for; all of them for ``None``.

    Arguments:
        wanted: a connection's name (``nordlys``), the same with its pipeline (``offerings/nordlys``), a pipeline for
            all connections of it, or the other word that a pipeline's connections go by (a provider's address).

    Raises:
        ConfigurationError: there is none, or connections of two pipelines have that name.
    """
    if wanted is None:
        return list(configured)
    if wanted in PIPELINES:
        return [c for c in configured if c.pipeline.name == wanted] or _unknown(configured, wanted)
    chosen = [c for c in configured if wanted in (c.name, c.full_name, c.alias)]
    if len({c.pipeline.name for c in chosen}) > 1:
        names = " or ".join(c.full_name for c in chosen)
        raise ConfigurationError(f"{wanted!r} is a connection of {len(chosen)} pipelines; write {names}")
    return chosen or _unknown(configured, wanted)


def choose_one(configured: Sequence[Configured], wanted: str) -> Configured:
    """Return the one connection that a word of the command line stands for.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    chosen = choose(configured, wanted)
    if len(chosen) > 1:
        names = ", ".join(c.full_name for c in chosen)
        raise ConfigurationError(f"{wanted!r} stands for {len(chosen)} connections; name one of {names}")
    return chosen[0]


def labels(configured: Sequence[Configured]) -> dict[str, str]:
    """Return how each connection is told of, by full name: its name alone where no other pipeline has one like it."""
    names = Counter(c.name for c in configured)
    return {c.full_name: c.name if names[c.name] == 1 else c.full_name for c in configured}


def _unknown(configured: Sequence[Configured], wanted: str) -> NoReturn:
    if wanted == LEDGER or wanted.removeprefix(f"{LEDGER}/") in {one.name for one in ledgers()}:
        raise ConfigurationError(f"{wanted!r}: {REPLICATED}")
    if wanted == COMMERCE or wanted.removeprefix(f"{COMMERCE}/") in {one.name for one in shops()}:
        raise ConfigurationError(f"{wanted!r}: {BOTH_WAYS}")
    if wanted == MARKETPLACES or wanted.removeprefix(f"{MARKETPLACES}/") in {one.name for one in accounts()}:
        raise ConfigurationError(f"{wanted!r}: {PULLED}")
    names = ", ".join(c.full_name if c.alias is None else f"{c.full_name} ({c.alias})" for c in configured)
    raise ConfigurationError(f"no connection is named {wanted!r} or stands for it; there are {names}")


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
