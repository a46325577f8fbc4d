"""The peers of the demo's deployments pipeline: they remember what happened, and Vault is a real one."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER
from sync_pipelines.sandbox.demo_deployments import (
    DeploymentPeers,
    deployment_connections,
    deployment_peers,
    deployment_secrets,
)

DEPLOYMENT = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"
INSTANCE = DEPLOYMENT[-36:]


@contextmanager
def _running(folder: Path) -> Iterator[DeploymentPeers]:
    with deployment_peers(folder, director_port=0, uaa_port=0, vault_port=0) as peers:
        yield peers


def _vault(peers: DeploymentPeers) -> httpx.Client:
    login = {name: (Path(peers.role) / name).read_text("utf-8") for name in ("role_id", "secret_id")}
    answer = httpx.post(f"{peers.vault}/v1/auth/approle/login", json=login, trust_env=False).raise_for_status()
    token = answer.json()["auth"]["client_token"]
    return httpx.Client(base_url=f"{peers.vault}/v1/", headers={"X-Vault-Token": token}, trust_env=False)


def _deployments(url: str) -> list[str]:
    told: list[str] = httpx.get(f"{url}/_sandbox/director", trust_env=False).json()["deployments"]
    return told


def test_what_happened_at_the_director_and_in_vault_is_found_again(tmp_path: Path) -> None:
    with _running(tmp_path) as peers:
        assert len(_deployments(peers.director)) == 14
        assert len(_deployments(peers.annex)) == 3
        httpx.post(f"{peers.director}/_sandbox/director/delete", json={"name": DEPLOYMENT}).raise_for_status()
        with _vault(peers) as vault:
            assert len(vault.get("secret/data/db").json()["data"]["data"]) == 15
            vault.post(f"secret/data/{INSTANCE}/metadata", json={"data": {"changed": True}}).raise_for_status()
            for name in ("credentials", "bindings"):
                assert vault.get(f"secret/data/{INSTANCE}/{name}").status_code == 200
                refused = vault.post(f"secret/data/{INSTANCE}/{name}", json={"data": {}})
                assert refused.status_code == 403
        # Whoever ends the group of the peers ends this one, too.
        assert os.getpgid(peers.vault_pid) == os.getpgid(0)
        server = Path(f"/proc/{peers.vault_pid}")
        assert server.exists()
    assert not server.exists()

    with _running(tmp_path) as again:
        assert DEPLOYMENT not in _deployments(again.director)
        with _vault(again) as vault:
            assert vault.get(f"secret/data/{INSTANCE}/metadata").json()["data"]["data"] == {"changed": True}
        basic = base64.b64encode(f"{DEMO_USER}:{DEMO_PASSWORD}".encode()).decode()
        listed = httpx.get(f"{again.annex}/deployments", headers={"Authorization": f"Basic {basic}"}, trust_env=False)
        assert listed.status_code == 200
        info = httpx.get(f"{again.director}/info", trust_env=False).json()
        assert info["user_authentication"]["type"] == "uaa"


def test_the_connections_refer_to_secrets_and_do_not_hold_them() -> None:
    peers = DeploymentPeers("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", 1, "/folder")
    document = str(deployment_connections(peers))
    assert all(f"env:{name}" in document for name in deployment_secrets())
    assert not any(value in document for value in deployment_secrets().values())
    assert "file:/folder/secret_id" in document
