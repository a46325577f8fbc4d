"""The program as a whole: help everywhere, exit codes, errors in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sync_pipelines import __version__
from sync_pipelines.cli import main


def _commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, *path, name)


COMMANDS = dict(_commands(main))


def test_the_commands_are_these() -> None:
    assert {" ".join(path) for path, command in COMMANDS.items() if not isinstance(command, click.Group)} == {
        "reconcile",
        "why",
        "plan list",
        "plan show",
        "plan approve",
        "dead-letter list",
        "dead-letter reprocess",
        "audit export",
        "audit verify",
        "metrics",
        "doctor",
        "offerings status",
        "deployments status",
        "deployments matches",
        "deployments backups",
        "deployments restore",
        "ledger status",
        "ledger import",
        "ledger verify",
        "ledger resync",
        "commerce sync",
        "commerce conflicts",
        "commerce settle",
        "commerce status",
        "marketplaces status",
        "marketplaces sync",
        "marketplaces errors",
        "commerce retry",
        "commerce start",
        "commerce syncs",
        "commerce pause",
        "commerce resume",
        "commerce cancel",
        "commerce activity",
        "commerce work",
        "commerce preview",
        "serve",
        "tokens create",
        "tokens list",
        "tokens revoke",
        "migrate",
        "database start",
        "database stop",
        "database status",
        "prune",
        "demo",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "main")
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, [*path, "--help"])
    assert answer.exit_code == 0
    assert COMMANDS[path].help
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"


def test_the_version_is_told() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["plan", "show"], ["reconcile", "--nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_an_interrupt_ends_quietly_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["migrate",], "callback", interrupted)
    answer = CliRunner().invoke(main, ["migrate"])
    assert (answer.exit_code, answer.output) == (130, "")


def test_an_unforeseen_error_is_one_line_and_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(COMMANDS["migrate",], "callback", broken)
    answer = CliRunner().invoke(main, ["migrate"])
    assert answer.exit_code == 1
    assert answer.stderr == "sync-pipelines: ZeroDivisionError: by zero (SYNC_DEBUG=1 shows where)\n"
    monkeypatch.setenv("SYNC_DEBUG", "1")
    assert isinstance(CliRunner().invoke(main, ["migrate"]).exception, ZeroDivisionError)


def test_commands_that_only_look_do_not_wait_for_dagster() -> None:
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        "for name in 'deployments deployment_backups ledger offerings why plan dead_letter audit metrics doctor '"
        "'database reconcile demo'.split():\n"
        "    import_module(f'sync_pipelines.cli.{name}')\n"
        "sys.exit('dagster' in sys.modules)"
    )
    project = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=project, check=False).returncode == 0
