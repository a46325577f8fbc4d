"""The floors of the architecture hold: who may import whom is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter import cli

_PROJECT = Path(__file__).resolve().parent.parent


def test_every_import_goes_down_the_floors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(_PROJECT)
    monkeypatch.syspath_prepend(str(_PROJECT))
    result = cli.lint_imports(config_filename=str(_PROJECT / "pyproject.toml"), no_cache=True)
    assert result == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out
