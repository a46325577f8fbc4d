"""Real Vault servers for the tests, and sessions on them. Import the fixtures where they are used."""

from __future__ import annotations

import asyncio
import atexit
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sync_pipelines.sandbox.openbao import OpenBao, VaultAdministration
from sync_pipelines.systems.vault.engines import open_kv
from sync_pipelines.systems.vault.kv import Kv
from sync_pipelines.systems.vault.session import Credentials, StaticToken, VaultSession, vault_transport

_T = TypeVar("_T")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Mounted:
    """A mount of a test's own on a server that others use too.

    Attributes:
        url: the server, or a proxy in front of it.
        token: root token.
        path: the mount.
    """

    url: str
    token: str
    path: str
    version: int
    admin: VaultAdministration

    def with_session(
        self,
        work: Callable[[VaultSession], Awaitable[_T]],
        credentials: Credentials | None = None,
        *,
        read_delay: float = 0.0,
        **options: Any,
    ) -> _T:
        """Run work with a session, by default with the root token; ``options`` are those of the session."""

        async def run() -> _T:
            async with vault_transport(self.url, read_delay=read_delay) as transport:
                return await work(VaultSession(transport, credentials or StaticToken(self.token), **options))

        return asyncio.run(run())

    def with_kv(self, work: Callable[[Kv], Awaitable[_T]], credentials: Credentials | None = None) -> _T:
        """Run work with access to the mount."""

        async def run(session: VaultSession) -> _T:
            return await work(await open_kv(session, self.path))

        return self.with_session(run, credentials)

    def write(self, path: str, data: dict[str, Any]) -> None:
        """Write as a foreign writer does."""
        self.admin.write(self.path, path, data, self.version)

    def read(self, path: str) -> Any:
        """Return a document as the server has it."""
        return self.admin.read(self.path, path, self.version)


@cache
def shared_openbao() -> OpenBao:
    """Return the server of this test process, in memory, which ends with it. Never sealed: others use it."""
    server = OpenBao.in_memory()
    atexit.register(server.stop)
    return server


@pytest.fixture(scope="session")
def openbao() -> OpenBao:
    """The server of this test process, see :func:`shared_openbao`."""
    return shared_openbao()


@pytest.fixture
def own_openbao() -> Iterator[OpenBao]:
    """A server of the test's own, in memory, to be sealed and limited."""
    with OpenBao.in_memory() as server:
        yield server


@pytest.fixture
def durable_openbao(tmp_path: Path) -> Iterator[OpenBao]:
    """A server of the test's own that keeps its data on disk, with a version 2 mount at ``secret``."""
    with OpenBao.durable(tmp_path / "openbao") as server:
        server.admin.enable_kv("secret")
        yield server


@pytest.fixture
def kv2(openbao: OpenBao) -> Mounted:
    """A new version 2 mount."""
    return mounted(openbao, 2)


@pytest.fixture
def kv1(openbao: OpenBao) -> Mounted:
    """A new version 1 mount."""
    return mounted(openbao, 1)


def mounted(server: OpenBao, version: int) -> Mounted:
    """Make a mount for one test."""
    path = f"kv-{next(_numbers)}"
    server.admin.enable_kv(path, version)
    return Mounted(server.url, server.token, path, version, server.admin)
