"""The real server as the sandbox runs it, and the proxy that spoils its answers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.keeping import StateUnreadable
from sync_pipelines.sandbox.openbao import OpenBao, OpenBaoProxy
from sync_pipelines.sandbox.rewriting import Lie, Rewrite


@pytest.fixture(scope="module")
def server() -> Iterator[OpenBao]:
    with OpenBao.in_memory() as server:
        server.admin.write("secret", "db", {"a": {"n": 1}, "b": {"n": 2}, "c": "cut"})
        yield server


@pytest.fixture
def proxy(server: OpenBao) -> OpenBaoProxy:
    return OpenBaoProxy(server.url)


@pytest.fixture
def client(server: OpenBao, proxy: OpenBaoProxy) -> Iterator[httpx.Client]:
    headers = {"X-Vault-Token": server.token}
    with proxy.running() as url, httpx.Client(base_url=f"{url}/v1/", headers=headers, trust_env=False) as client:
        yield client


def entries(answer: httpx.Response) -> Any:
    return answer.json()["data"]["data"]


def test_given_a_server_when_it_is_stopped_then_nothing_is_left_of_it() -> None:
    with OpenBao.in_memory() as server:
        folder = Path(f"/proc/{server.pid}")
        assert os.getpgid(server.pid) == server.pid
        assert server.admin.call("GET", "sys/health") is None
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)


def test_given_a_durable_server_when_it_starts_again_then_it_knows_what_it_was_told(tmp_path: Path) -> None:
    with OpenBao.durable(tmp_path) as server:
        server.admin.enable_kv("secret")
        server.admin.write("secret", "a", {"n": 1})
        server.kill()
    with OpenBao.durable(tmp_path) as again:
        assert again.admin.read("secret", "a") == {"n": 1}
        assert again.token == server.token
        assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    with socket.socket() as other:
        other.bind(("127.0.0.1", json.loads((tmp_path / "keys.json").read_text())["cluster_port"]))
        other.listen()
        with OpenBao.durable(tmp_path, own_group=False) as elsewhere:
            assert elsewhere.admin.read("secret", "a") == {"n": 1}
            assert os.getpgid(elsewhere.pid) == os.getpgid(0)
    (tmp_path / "keys.json").unlink()
    with pytest.raises(StateUnreadable, match="initialized and its keys are lost; start over with --fresh"):
        OpenBao.durable(tmp_path)


@pytest.mark.parametrize("text", ["", '{"token": "s.', '{"token": "x"}', "[]"])
def test_given_keys_that_cannot_be_read_then_it_is_said_how_to_start_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text, encoding="utf-8")
    with pytest.raises(StateUnreadable, match=r"keys\.json cannot be read .*; start over with --fresh"):
        OpenBao.durable(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_given_a_file_of_secrets_then_it_is_loaded(server: OpenBao, tmp_path: Path, version: int) -> None:
    source = tmp_path / "vault.json"
    secrets = {"db": {"a": {"x": 1}}, "a/metadata": {"y": 2}}
    source.write_text(json.dumps({"mount": f"loaded-{version}", "kv_version": version, "secrets": secrets}))
    mount = server.admin.load(source)
    assert server.admin.paths(mount, version) == ["a/metadata", "db"]
    assert {path: server.admin.read(mount, path, version) for path in secrets} == secrets
    server.admin.disable(mount)
    assert server.admin.read("secret", "never") is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "secret/data/db", 200),
        ("GET", "secret/data/db?version=9", 404),
        ("LIST", "secret/metadata/", 200),
        ("SCAN", "secret/metadata/", 200),
        ("DELETE", "secret/metadata/never", 204),
        ("GET", "secret/data/sp%20ace/%C3%A9", 404),
        ("GET", "kv1/x//y", 307),
        ("PUT", "sys/internal/nope", 404),
    ],
)
def test_given_no_fault_then_the_proxy_changes_nothing(
    server: OpenBao, client: httpx.Client, proxy: OpenBaoProxy, method: str, path: str, status: int
) -> None:
    through = client.request(method, path)
    direct = httpx.request(method, f"{server.url}/v1/{path}", headers=client.headers, trust_env=False)
    assert through.status_code == direct.status_code == status
    assert through.headers.get("Content-Type") == direct.headers.get("Content-Type")
    assert [request.method for request in proxy.requests] == [method]
    if through.content and status == 200:
        assert through.json()["data"] == direct.json()["data"]


def test_given_a_fault_after_the_commit_then_the_write_is_done_and_the_client_does_not_know(
    server: OpenBao, client: httpx.Client, proxy: OpenBaoProxy
) -> None:
    proxy.faults.add("drop_after_commit", method="POST", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("secret/data/lost", json={"data": {"n": 1}})
    assert server.admin.read("secret", "lost") == {"n": 1}
    client.delete("secret/metadata/lost")


@pytest.mark.parametrize(
    ("rewrite", "left"),
    [
        (Rewrite(Lie.EMPTY), {}),
        (Rewrite(Lie.SHORT), {"b": {"n": 2}, "c": "cut"}),
        (Rewrite(Lie.OMITTED), {"a": {"n": 1}, "b": {"n": 2}}),
        (Rewrite(Lie.FIELD, 3, "n", 7), {"a": {"n": 7}, "b": {"n": 7}, "c": "cut"}),
    ],
)
def test_given_a_lie_then_the_index_shows_it(
    client: httpx.Client, proxy: OpenBaoProxy, rewrite: Rewrite, left: dict[str, Any]
) -> None:
    proxy.faults.add("rewrite", path="/data/db", rewrite=rewrite)
    assert entries(client.get("secret/data/db")) == left


def test_given_a_lie_then_a_listing_shows_it(client: httpx.Client, proxy: OpenBaoProxy) -> None:
    proxy.faults.add("rewrite", method="LIST", rewrite=Rewrite(Lie.EMPTY))
    assert client.request("LIST", "secret/metadata/").json()["data"]["keys"] == []


def test_given_a_server_that_is_down_then_the_proxy_closes_the_connection() -> None:
    with OpenBao.in_memory() as server, OpenBaoProxy(server.url).running() as url:
        server.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}/v1/sys/health", trust_env=False)
