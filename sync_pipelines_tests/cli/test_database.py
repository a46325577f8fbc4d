"""The embedded server and the schema, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sync_pipelines.cli import main


def test_the_embedded_server_is_started_migrated_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_HOME", str(tmp_path))
    monkeypatch.delenv("SYNC_DATABASE_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        answer = CliRunner().invoke(main, arguments)
        return answer.exit_code, answer.stdout

    try:
        assert run("database", "status")[0] == 1
        assert run("database", "start")[0] == 0
        code, told = run("database", "status", "--json")
        assert (code, json.loads(told)["running"]) == (0, True)
        assert "applied 0001_" in run("migrate")[1]
        assert run("migrate") == (0, "the schema is up to date\n")
    finally:
        assert run("database", "stop") == (0, "stopped\n")
    assert run("database", "stop") == (0, "it was not running\n")
