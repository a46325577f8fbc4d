"""A running OpenBao server: in memory for most tests, with storage on disk where a crash must lose nothing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sync_pipelines.sandbox.keeping import StateUnreadable
from sync_pipelines.sandbox.openbao.administration import VaultAdministration
from sync_pipelines.sandbox.openbao.process import BaoFailed, BaoProcess, free_ports, is_free

MANY_STRINGS = 10_000_000
USUAL_STRINGS = 1000
"""Texts that OpenBao takes in one request unless its listener says otherwise. An index of some 90 entries has more."""

_TRIES = 5
_IN_MEMORY = 'storage "inmem" {}'
# The binary knows no storage "file". With the usual multiplier the first election takes some nine seconds.
_ON_DISK = 'storage "raft" {{\n  path = "{path}"\n  node_id = "sandbox"\n  performance_multiplier = "1"\n}}'
_CONFIG = """\
{storage}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
  max_request_json_strings = {json_strings}
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
log_level = "warn"
"""


@dataclass(frozen=True, slots=True)
class _Keys:
    token: str
    unseal_key: str
    cluster_port: int


class OpenBao:
    """A server on loopback, unsealed. Use as a context manager, which stops it.

    Attributes:
        url: base URL without ``/v1``.
        token: root token.
        admin: what an administrator can do.
    """

    def __init__(
        self, process: BaoProcess, url: str, keys: _Keys, folder: Path, *, is_durable: bool, own_group: bool
    ) -> None:
        self.url = url
        self.token = keys.token
        self.admin = VaultAdministration(url, keys.token, keys.unseal_key)
        self._process = process
        self._folder = folder
        self._is_durable = is_durable
        self._own_group = own_group

    @classmethod
    def in_memory(cls, *, port: int = 0, json_strings: int = MANY_STRINGS) -> OpenBao:
        """Start a server that forgets everything when it ends, with a version 2 mount at ``secret``.

        It is up in a quarter of a second.

        Arguments:
            port: 0 takes a free one.
            json_strings: texts that one request may have.

        Raises:
            BaoMissing: there is no binary.
            BaoFailed: it does not start.
        """
        folder = Path(tempfile.mkdtemp(prefix="openbao-"))
        try:
            server = cls._started(folder, _IN_MEMORY, port, json_strings, is_durable=False)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        server.admin.enable_kv("secret")
        return server

    @classmethod
    def durable(
        cls, folder: Path, *, port: int = 0, json_strings: int = MANY_STRINGS, own_group: bool = True
    ) -> OpenBao:
        """Start a server that keeps what it acknowledged in a folder, and finds it there the next time.

        A new one has no mounts, and takes two seconds to begin. Its root token and unseal key lie in the folder.

        Arguments:
            port: 0 takes a free one.
            json_strings: texts that one request may have.
            own_group: whether its process leads a group of its own; without, it ends with whoever ends ours.

        Raises:
            BaoMissing: there is no binary.
            BaoFailed: it does not start, or does not serve.
            StateUnreadable: what is in the folder is of no use.
        """
        (folder / "data").mkdir(parents=True, exist_ok=True)
        storage = _ON_DISK.format(path=folder / "data")
        return cls._started(folder, storage, port, json_strings, is_durable=True, own_group=own_group)

    @classmethod
    def _started(
        cls, folder: Path, storage: str, port: int, json_strings: int, *, is_durable: bool, own_group: bool = True
    ) -> OpenBao:
        kept = folder / "keys.json"
        keys = _kept(kept)
        process, url, cluster_port = _process_on_free_ports(folder, storage, port, json_strings, keys, own_group)
        try:
            if keys is None:
                keys = _initialized(url, cluster_port, folder)
                _keep(keys, kept)
            server = cls(process, url, keys, folder, is_durable=is_durable, own_group=own_group)
            server.admin.unseal()
        except (httpx.HTTPError, RuntimeError) as error:
            process.kill()
            raise BaoFailed(f"OpenBao does not serve: {error}") from error
        except BaseException:
            process.kill()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def stop(self) -> None:
        """End the server; what is in memory goes with it."""
        self.admin.close()
        self._process.stop()
        if not self._is_durable:
            shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server as ``kill -9`` does."""
        self._process.kill()

    def restart(self) -> None:
        """Start a killed durable server again, at the same address, and unseal it."""
        if not self._is_durable:
            raise RuntimeError("a server in memory has nothing to come back to")
        self._process = _process(self._folder, self.url, self._own_group)
        self.admin.unseal()


def _process_on_free_ports(
    folder: Path, storage: str, port: int, json_strings: int, keys: _Keys | None, own_group: bool
) -> tuple[BaoProcess, str, int]:
    failure = BaoFailed()
    for _ in range(_TRIES):
        free, cluster_port = free_ports(2)
        # Raft knows a server by this address: it stays while nobody else has it.
        if keys is not None and is_free(keys.cluster_port):
            cluster_port = keys.cluster_port
        names = {"port": port or free, "cluster_port": cluster_port, "json_strings": json_strings}
        (folder / "bao.hcl").write_text(_CONFIG.format(storage=storage, **names))
        url = f"http://127.0.0.1:{port or free}"
        try:
            return _process(folder, url, own_group), url, cluster_port
        except BaoFailed as error:
            # Somebody else may have been faster to take a port.
            failure = error
    raise failure


def _process(folder: Path, url: str, own_group: bool) -> BaoProcess:
    arguments, environment = [f"-config={folder / 'bao.hcl'}"], {"HOME": str(folder)}
    return BaoProcess(arguments, environment, url, folder / "bao.log", own_group=own_group)


def _kept(file: Path) -> _Keys | None:
    """Return the keys of a server that was initialized before; ``None`` for a new one."""
    if not file.exists():
        return None
    try:
        told: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return _Keys(str(told["token"]), str(told["unseal_key"]), int(told["cluster_port"]))
    except (ValueError, TypeError, KeyError) as error:
        raise StateUnreadable(f"{file} cannot be read ({type(error).__name__}); start over with --fresh") from error


def _keep(keys: _Keys, file: Path) -> None:
    """Write the keys, whole or not at all."""
    new = file.with_suffix(".new")
    new.touch(0o600)
    new.write_text(json.dumps(asdict(keys)), encoding="utf-8")
    os.replace(new, file)


def _initialized(url: str, cluster_port: int, folder: Path) -> _Keys:
    with httpx.Client(base_url=f"{url}/v1/sys/", trust_env=False, timeout=60.0) as client:
        if client.get("init").raise_for_status().json()["initialized"]:
            # Killed between the two: nobody was ever told these keys.
            raise StateUnreadable(f"OpenBao in {folder} is initialized and its keys are lost; start over with --fresh")
        told = client.put("init", json={"secret_shares": 1, "secret_threshold": 1}).raise_for_status().json()
    return _Keys(told["root_token"], told["keys"][0], cluster_port)
