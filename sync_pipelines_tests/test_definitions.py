"""What the definitions load: only what the connections file has, because every run is a process that loads them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.registry import SECTIONS, enabled_connections

_PROJECT = Path(__file__).resolve().parents[1]

_OFFERINGS = """
offerings:
  - name: nordlys
    enabled: {enabled}
    provider: virtengine1nord
    chain: {{rpc_url: "http://localhost:1", chain_id: virtengine-1}}
    waldur:
      url: http://localhost:2
      token: env:WALDUR_TOKEN
      customer_uuid: 675b3151-abfb-4799-be8c-31a065f3797e
    category_map: {{compute: 546f4e0b-14fb-4836-8474-98eb2e0adb11}}
"""
_CLIENTS = {
    "offerings": {"cometbft", "waldur"},
    "deployments": {"bosh", "vault"},
    "ledger": {"internet_computer"},
    "commerce": {"woocommerce", "odoo"},
    "marketplaces": {"amazon", "woocommerce"},
}
_ALL_CLIENTS = {client for clients in _CLIENTS.values() for client in clients}
_LOAD = "import sys; import sync_pipelines.definitions; print(*sys.modules)"


def _load(folder: Path, connections: str, **variables: str) -> subprocess.CompletedProcess[str]:
    file = folder / "connections.yaml"
    file.write_text(connections)
    environment = os.environ | {"SYNC_CONNECTIONS_FILE": str(file), "WALDUR_TOKEN": "t"} | variables
    return subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=_PROJECT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("connections", "expected"),
    [(_OFFERINGS.format(enabled="false"), []), (_OFFERINGS.format(enabled="true"), ["offerings"])],
    ids=["one that is switched off", "offerings"],
)
def test_given_a_connections_file_then_only_its_pipelines_and_their_clients_are_loaded(
    tmp_path: Path, connections: str, expected: list[str]
) -> None:
    # The variables fill in fields of connections; alone they configure nothing.
    loaded = _load(tmp_path, connections, CANISTER_ID="ggi4a-wyaaa-aaaai-actqq-cai")
    assert loaded.returncode == 0, loaded.stderr
    modules = set(loaded.stdout.split())
    assert [name for name in SECTIONS if f"sync_pipelines.pipelines.{name}.definitions" in modules] == expected
    clients = {client for client in _ALL_CLIENTS if f"sync_pipelines.systems.{client}" in modules}
    assert clients == {client for name in expected for client in _CLIENTS[name]}
    assert modules.isdisjoint({"pandas", "numpy", "py_ecc"})


def test_given_no_connections_file_then_nothing_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNC_CONNECTIONS_FILE", raising=False)
    assert [enabled_connections(name) for name in SECTIONS] == [()] * len(SECTIONS)


@pytest.mark.parametrize(
    ("connections", "reason"),
    [
        (
            "offers: []",
            "unknown section 'offers'; the sections are offerings, deployments, ledger, commerce, marketplaces",
        ),
        ("commerce: nordwind", "commerce must be a list of connections, each starting with '- name:'"),
        ("ledger: [{name: a}]", "ledger[0] (a).canister_id: is missing; add it or set CANISTER_ID"),
    ],
)
def test_given_a_mistake_in_any_section_then_loading_tells_file_place_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connections: str, reason: str
) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(connections)
    monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
    monkeypatch.delenv("CANISTER_ID", raising=False)
    with pytest.raises(ConfigurationError, match=re.escape(f"{file}: {reason}")):
        [enabled_connections(name) for name in SECTIONS]
