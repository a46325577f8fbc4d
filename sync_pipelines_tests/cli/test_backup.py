"""Backup and restore as docs/backup.md tells: the restored database goes on where the dump was taken."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from sync_pipelines.store import audit
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.migrations import pending
from sync_pipelines.store.postgres_binaries import find_binaries
from sync_pipelines_tests.cli.conftest import Installation

_PROGRAMS = find_binaries().folder
needs_dump = pytest.mark.skipif(
    not all((_PROGRAMS / name).exists() for name in ("pg_dump", "pg_restore")),
    reason=f"no pg_dump and pg_restore in {_PROGRAMS}; Debian's package postgresql-client has them",
)


def _run(program: str, *arguments: str) -> None:
    ended = subprocess.run([_PROGRAMS / program, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


@needs_dump
def test_given_a_restored_dump_then_reconciles_go_on_and_nothing_is_made_twice(
    installation: Installation,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = [one["name"] for one in installation.document["offerings"][:2]]
    installation.agree(first)
    dump = str(tmp_path / "sync.dump")
    _run("pg_dump", "--format=custom", f"--file={dump}", _plain(database_url))
    # What happens at the target after the dump was taken.
    installation.agree(second)
    made = len(installation.waldur.world.offerings)

    _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={_plain(empty_database_url)}", dump)
    monkeypatch.setenv("SYNC_DATABASE_URL", empty_database_url)
    engine = connect_engine(empty_database_url)
    try:
        restored = replace(installation, engine=engine)
        assert pending(engine) == []
        assert restored.invoke("audit", "verify").exit_code == 0
        restored.agree(first)
        restored.agree(second)

        assert len(installation.waldur.world.offerings) == made
        with engine.begin() as connection:
            report = audit.verify(connection, "offerings")
            assert report.intact
            assert report.entries > 0
            linked = set(connection.execute(text("SELECT linked_by FROM sync.base")).scalars())
        assert linked == {"create", "adopt"}
    finally:
        engine.dispose()
