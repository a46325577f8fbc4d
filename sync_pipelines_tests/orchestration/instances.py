"""Dagster on the shipped dagster.yaml, with its events in a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def shipped_instance(folder: Path, database_url: str) -> Iterator[DagsterInstance]:
    """Open an instance whose storage is PostgreSQL, for the time of the block."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SYNC_DATABASE_URL", database_url)
        environment.setenv("SYNC_HOME", str(folder / "home"))
        reference = InstanceRef.from_dir(str(folder), config_dir=str(PROJECT))
        with DagsterInstance.from_ref(reference) as instance:
            yield instance
