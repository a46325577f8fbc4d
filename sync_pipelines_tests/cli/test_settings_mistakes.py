"""Mistakes in the connections file: one clear message that names the place and the mend, and nothing done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines_tests.cli.conftest import PROJECT, Installation

Change = Callable[[dict[str, Any]], None]


def _set(*path: str, to: object) -> Change:
    def change(connection: dict[str, Any]) -> None:
        *above, last = path
        for name in above:
            connection = connection[name]
        connection[last] = to

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("wldur", to=1), "offerings[0] (nordlys).wldur: unknown key; remove it or correct its spelling"),
        (_set("chain", "rpc_url", to="localhost:26657"), "chain.rpc_url: 'localhost:26657' is not an http(s) URL"),
        (_set("waldur", "token", to="env:NOT_THERE"), "waldur.token: the environment variable NOT_THERE is not set"),
        (_set("waldur", "token", to="hunter2"), "waldur.token: a secret is given as a reference"),
        (_set("category_map", to="nowhere.json"), "nowhere.json cannot be read: No such file or directory"),
        (_set("category_map", to={"compute": "x"}), "category_map.compute: 'x' is not a UUID"),
        (_set("currency_denominator", to=0), "currency_denominator: 0 cannot divide a price"),
    ],
)
@pytest.mark.parametrize("command", [("reconcile", "offerings"), ("plan", "list", "--provider", "nordlys")])
def test_a_mistake_is_told_with_its_place_and_ends_with_1(
    installation: Installation, change: Change, told: str, command: tuple[str, ...]
) -> None:
    installation.configure(change)
    answer = installation.invoke(*command)
    assert answer.exit_code == 1
    assert str(installation.file) in answer.stderr
    assert told in answer.stderr
    assert "Traceback" not in answer.output
    assert "hunter2" not in answer.output
    assert installation.waldur.world.mutations == []


def test_a_connections_file_that_is_not_there_is_named(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONNECTIONS_FILE", "/nowhere/connections.yaml")
    answer = installation.invoke("reconcile", "offerings")
    assert answer.exit_code == 1
    assert "SYNC_CONNECTIONS_FILE=/nowhere/connections.yaml: there is no such file" in answer.stderr


def test_without_a_connections_file_the_example_is_named_by_its_place_in_the_project(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNC_CONNECTIONS_FILE")
    elsewhere = installation.file.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    answer = installation.invoke("reconcile", "offerings")
    assert answer.exit_code == 1
    (example,) = re.findall(r"\S+\.example\.yaml", answer.stderr)
    assert (PROJECT / example.lstrip("(")).is_file()


def test_an_unknown_provider_is_answered_with_those_there_are(installation: Installation) -> None:
    answer = installation.invoke("reconcile", "offerings", "--provider", "nobody")
    assert answer.exit_code == 1
    assert "no connection is named 'nobody'" in answer.stderr
    assert "nordlys" in answer.stderr


def test_a_database_that_does_not_answer_is_named_without_its_password(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/none")
    answer = installation.invoke("plan", "list")
    assert answer.exit_code == 1
    assert "No connection to the database" in answer.stderr
    assert "hunter2" not in answer.output
