"""Mistakes in the connections file, and where each option of the reconciler comes from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.deployments.connection import Broker, DeploymentsConnection
from sync_pipelines.pipelines.registry import SECTIONS
from sync_pipelines.settings import load_section
from sync_pipelines.systems.bosh import ClientLogin, UserLogin
from sync_pipelines.systems.vault.session import AppRole
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA

USUAL: dict[str, Any] = {
    "name": "lab",
    "director": {"url": "https://10.0.0.6:25555", "client": "sync", "client_secret": "env:SECRET"},
    "vault": {"url": "https://vault.example:8200/v1/", "token": "env:TOKEN"},
    "catalog": str(DATA / "catalog.json"),
}
ENVIRONMENT = {"SECRET": "s", "TOKEN": "t", "PASSWORD": "p"}


def _load(folder: Path, *rows: dict[str, Any], **environment: str) -> tuple[DeploymentsConnection, ...]:
    path = folder / "connections.yaml"
    path.write_text(yaml.safe_dump({"deployments": list(rows)}))
    environment = {**ENVIRONMENT, **environment, "SYNC_CONNECTIONS_FILE": str(path)}
    return load_section("deployments", DeploymentsConnection, known=("deployments",), environment=environment)


def _changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    row = copy.deepcopy(USUAL)
    change(row)
    return row


def test_the_usual_connection_has_the_documented_defaults(tmp_path: Path) -> None:
    (one,) = _load(tmp_path, USUAL)
    assert one.enabled
    assert one.vault.url == "https://vault.example:8200"
    assert (one.vault.mount, one.vault.index, one.in_flight) == ("secret", "db", 32)
    assert (one.retry.base, one.retry.max_retries) == (10.0, 3)
    assert one.director.login == ClientLogin("sync", "s")
    assert (one.orphans.stale_after_days, one.orphans.remove) == (30, False)
    assert "s" not in repr(one.director.client_secret).replace("Secret", "")


@pytest.mark.parametrize(
    ("environment", "conf", "inline", "interval", "source"),
    [
        ({"BLACKSMITH_RECONCILER_INTERVAL": "90s"}, "45m", "30m", timedelta(seconds=90), "BLACKSMITH_RECONCILER"),
        ({}, "45m", "30m", timedelta(minutes=45), "blacksmith.conf"),
        ({}, None, "30m", timedelta(minutes=30), "the connection"),
        ({}, None, None, timedelta(hours=1), "default"),
        ({}, "0", None, timedelta(), "blacksmith.conf"),
    ],
)
def test_an_option_is_taken_from_the_first_that_has_it(
    tmp_path: Path,
    environment: dict[str, str],
    conf: str | None,
    inline: str | None,
    interval: timedelta,
    source: str,
) -> None:
    (tmp_path / "blacksmith.conf").write_text(
        yaml.safe_dump({"broker": {"password": "x"}, "reconciler": {"interval": conf} if conf else {}})
    )
    row = {**USUAL, "blacksmith_conf": "blacksmith.conf", "reconciler": {"interval": inline} if inline else {}}
    (one,) = _load(tmp_path, row, **environment)
    assert one.reconciler.interval == interval
    assert source in one.reconciler.sources["interval"]


@pytest.mark.parametrize("block", [{"enabled": False}, {"enabled": "no"}])
def test_false_in_a_file_is_respected(tmp_path: Path, block: dict[str, Any]) -> None:
    (tmp_path / "blacksmith.conf").write_text(
        yaml.safe_dump({"reconciler": {**block, "backup": {"enabled": False, "cleanup": False, "retention": 0}}})
    )
    (one,) = _load(tmp_path, {**USUAL, "blacksmith_conf": "blacksmith.conf"})
    assert not one.enabled
    assert (one.reconciler.backup.enabled, one.reconciler.backup.cleanup, one.reconciler.backup.retention) == (
        False,
        False,
        0,
    )


def test_a_user_logs_in_through_the_cli_s_client_unless_another_is_given(tmp_path: Path) -> None:
    user = {"url": "https://bosh.example:25555", "user": "ada", "password": "env:PASSWORD"}
    through = {**user, "client": "sync", "client_secret": "env:SECRET"}
    (one,) = _load(tmp_path, {**USUAL, "director": user})
    (two,) = _load(tmp_path, {**USUAL, "director": through})
    assert one.director.login == UserLogin("ada", "p")
    assert two.director.login == UserLogin("ada", "p", "sync", "s")


def test_a_broker_and_an_approle_are_accepted(tmp_path: Path) -> None:
    row = _changed(lambda row: row["vault"].pop("token"))
    row["vault"] |= {"role_id": "env:TOKEN", "secret_id": "env:SECRET"}
    row["catalog"] = {"url": "https://broker.example", "username": "u", "password": "env:PASSWORD"}
    (one,) = _load(tmp_path, row)
    assert one.vault.credentials == AppRole("t", "s", "approle")
    assert isinstance(one.catalog, Broker)


def test_connections_of_one_index_know_each_other(tmp_path: Path) -> None:
    def another(name: str, **vault: Any) -> dict[str, Any]:
        row = copy.deepcopy(USUAL)
        return row | {
            "name": name,
            "director": row["director"] | {"url": f"https://{name}.example"},
            "vault": row["vault"] | vault,
        }

    rows = [USUAL, another("east") | {"enabled": False}, another("apart", index="other")]
    rows.append(another("west") | {"others_on_same_vault": ["elsewhere"]})
    loaded = {one.name: one.others_on_same_vault for one in _load(tmp_path, *rows)}
    assert loaded == {
        "lab": {"east", "west"},
        "east": {"lab", "west"},
        "apart": set(),
        "west": {"lab", "east", "elsewhere"},
    }


def test_the_example_file_is_valid() -> None:
    names = ("BOSH_CLIENT_SECRET", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "BROKER_PASSWORD")
    example = Path(__file__).parents[3] / "deploy" / "connections.example.yaml"
    environment = {**dict.fromkeys(names, "x"), "SYNC_CONNECTIONS_FILE": str(example)}
    loaded = load_section("deployments", DeploymentsConnection, known=SECTIONS, environment=environment)
    assert [one.name for one in loaded] == ["lab"]


MISTAKES: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda row: row["director"].pop("client_secret"), "client_secret is missing"),
    (lambda row: row.update(director={"url": "https://x"}), "has no login; give user and password"),
    (lambda row: row["director"].update(user="a"), "user and password belong together"),
    (lambda row: row["director"].update(client_secret="plain"), "given as a reference"),
    (lambda row: row["director"].update(auth="basic", uaa_url="https://uaa"), "uaa_url is of no use"),
    (lambda row: row["director"].update(ca_cert="none.pem"), r"the CA file '.*none\.pem' cannot be read"),
    (lambda row: row["vault"].pop("token"), "needs one login"),
    (lambda row: row["vault"].update(role_id="env:TOKEN"), "role_id and secret_id belong together"),
    (lambda row: row["vault"].update(mount="../sys"), "is no path of a secret"),
    (lambda row: row["vault"].update(kv_version=3), "vault.kv_version"),
    (lambda row: row.update(catalog="none.json"), r"none\.json: the catalog cannot be read"),
    (lambda row: row.update(catalog={"url": "https://b"}), "catalog.broker.username: is missing"),
    (lambda row: row.update(match={"rules": [{"name": "x", "pattern": "("}]}), "is no regular expression"),
    (lambda row: row.update(match={"threshold": 2}), "match.threshold"),
    (lambda row: row.update(reconciler={"interval": "30"}), "must be a duration with units"),
    (lambda row: row.update(reconciler={"interval": "30s"}), "must be at least 1m, or 0"),
    (lambda row: row.update(reconciler={"intervall": "1h"}), r"reconciler\.intervall: unknown option"),
    (lambda row: row.update(reconciler={"backup": {"path": "../x"}}), "must be a path below the instance"),
    (lambda row: row.update(blacksmith_conf="none.conf"), r"none\.conf: cannot be read"),
    (lambda row: row.update(orphans={"remove": True, "remove_after_days": 3}), "an orphan is stale first"),
    (lambda row: row.update(surprise=1), "surprise: unknown key"),
]


@pytest.mark.parametrize(("change", "told"), MISTAKES, ids=[told for _, told in MISTAKES])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, change: Callable[[dict[str, Any]], Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as error:
        _load(tmp_path, _changed(change))
    assert r"deployments[0] (lab)" in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "name the same Director"),
        (
            {
                "director": {**USUAL["director"], "url": "https://b", "limits": {}},
                "vault": {**USUAL["vault"], "limits": {"burst": 3}},
            },
            "different limits",
        ),
    ],
)
def test_connections_that_would_work_against_each_other_are_refused(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        _load(tmp_path, USUAL, {**USUAL, "name": "other", **change})
