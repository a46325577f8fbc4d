"""Vault as one connection sees it, on a real server, and the steps that the engine takes with it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.deployments.held import TargetSettings
from sync_pipelines.pipelines.deployments.manifest import text_digest
from sync_pipelines.pipelines.deployments.restore import Restorer
from sync_pipelines.pipelines.deployments.vault_cache import VaultCache
from sync_pipelines.pipelines.deployments.vault_target import VaultTarget
from sync_pipelines.systems.vault.engines import open_kv
from sync_pipelines.systems.vault.index import Index
from sync_pipelines.systems.vault.kv import Kv, Names, Secret, Versions
from sync_pipelines.systems.vault.mounts import KvMount
from sync_pipelines.systems.vault.session import Credentials, VaultSession
from sync_pipelines_tests.pipelines.deployments.demo_data import (
    DATA,
    DIRECTOR,
    differing,
    listed,
    manifest_text,
    wanted,
)
from sync_pipelines_tests.pipelines.deployments.instances import NOW
from sync_pipelines_tests.vaults import Mounted

_T = TypeVar("_T")


@cache
def demo_wanted() -> dict[str, Content]:
    """Return what Vault should hold of the demo, by instance id."""
    return wanted()


class Clock:
    """A clock that goes on by a second each time it is read."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class DirectorTexts:
    """A Director's manifests, and the names of its deployments."""

    def __init__(self, texts: Mapping[str, str], present: Sequence[str] = ()) -> None:
        self.texts = dict(texts)
        self.present = {*texts, *present}

    async def manifest(self, name: str, sha256: str) -> str:
        if text_digest(self.texts[name]) != sha256:
            raise PeerError("bosh", FailureKind.TRANSIENT, "the manifest changed")
        return self.texts[name]

    async def is_present(self, name: str) -> bool:
        return name in self.present


class Killed(Exception):
    """The process ends here."""


class MortalKv:
    """A mount whose user is killed before or after one of its writes.

    Attributes:
        writes: paths written or deleted, in order.
        dies_at: number of the write, ``None`` for never.
    """

    has_cas: ClassVar[bool] = True

    def __init__(self, kv: Kv, dies_at: int | None = None, *, afterwards: bool = False) -> None:
        self._kv = kv
        self._dies_at = dies_at
        self._afterwards = afterwards
        self.writes: list[str] = []

    @property
    def mount(self) -> KvMount:
        return self._kv.mount

    async def read(self, path: str) -> Secret | None:
        return await self._kv.read(path)

    async def write(self, path: str, data: Mapping[str, Any], *, cas: int | None = None) -> int | None:
        return await self._surviving(path, lambda: self._kv.write(path, data, cas=cas))

    async def list(self, path: str = "") -> Names:
        return await self._kv.list(path)

    async def list_all(self, prefix: str = "") -> Names:
        return await self._kv.list_all(prefix)

    async def stamps(self, folder: str = "") -> Mapping[str, str | None] | None:
        return await self._kv.stamps(folder)

    async def delete_version(self, path: str, version: int) -> None:
        await self._surviving(path, lambda: self._kv.delete_version(path, version))

    async def delete_all(self, path: str) -> None:
        await self._surviving(path, lambda: self._kv.delete_all(path))

    async def versions(self, path: str) -> Versions | None:
        return await self._kv.versions(path)

    async def _surviving(self, path: str, write: Callable[[], Awaitable[_T]]) -> _T:
        self.writes.append(path)
        dies = len(self.writes) - 1 == self._dies_at
        if dies and not self._afterwards:
            raise Killed
        result = await write()
        if dies:
            raise Killed
        return result


@dataclass
class RightSide:
    """A mount, a Director behind it, and a clock.

    Attributes:
        url: a proxy before the server, when there is one.
        cache: of what sweeps read, when there is one.
    """

    mounted: Mounted
    texts: DirectorTexts
    settings: TargetSettings = field(default_factory=lambda: TargetSettings(DIRECTOR, server="vault.test"))
    clock: Clock = field(default_factory=Clock)
    url: str | None = None
    cache: VaultCache | None = None

    @classmethod
    def demo(cls, mounted: Mounted, **options: Any) -> RightSide:
        """Return the demo's Director before a mount with the demo's documents."""
        document = json.loads((DATA / "vault.json").read_text())
        mounted.admin.load({**document, "mount": mounted.path, "kv_version": mounted.version})
        texts = {name: text for name in listed() if (text := manifest_text(name)) is not None}
        return cls(mounted, DirectorTexts(texts, list(listed())), **options)

    def run(
        self,
        work: Callable[[VaultTarget], Awaitable[_T]],
        *,
        through: Callable[[Kv], Kv] = lambda kv: kv,
        credentials: Credentials | None = None,
    ) -> _T:
        """Run work as one process of this connection."""

        async def with_target(kv: Kv) -> _T:
            target = VaultTarget(kv, Index(kv), self.texts, self.settings, self.clock, self.cache)
            result = await work(target)
            await target.reading.keep_last_read()
            return result

        return self._with_kv(with_target, through, credentials)

    def restoring(self, work: Callable[[Restorer], Awaitable[_T]]) -> _T:
        """Run work with a restorer."""

        async def with_restorer(kv: Kv) -> _T:
            return await work(Restorer(kv, Index(kv), self.settings.backup, self.clock))

        return self._with_kv(with_restorer, lambda kv: kv, None)

    def _with_kv(
        self, work: Callable[[Kv], Awaitable[_T]], through: Callable[[Kv], Kv], credentials: Credentials | None
    ) -> _T:
        async def run(session: VaultSession) -> _T:
            return await work(through(await open_kv(session, self.mounted.path, version=self._version)))

        mounted = self.mounted if self.url is None else Mounted(self.url, *_rest(self.mounted))
        return mounted.with_session(run, credentials)

    @property
    def _version(self) -> Any:
        return self.mounted.version

    @property
    def versions(self) -> dict[str, int]:
        """Current version of every secret."""
        return self.mounted.admin.versions(self.mounted.path)

    @property
    def entries(self) -> Any:
        """The index."""
        return self.mounted.read("db") or {}


def _rest(mounted: Mounted) -> tuple[Any, ...]:
    return mounted.token, mounted.path, mounted.version, mounted.admin


async def swept(target: VaultTarget, sweep: Sweep | None = None) -> dict[str, Record]:
    """Return all records of a pass by right key."""
    return {record.key: record async for page in target.sweep(sweep or Sweep()) for record in page}


async def converge(target: VaultTarget, instance_id: str, content: Content) -> list[str]:
    """Do for one record what the engine does. Returns the fields that were written to an existing entry."""
    found = list(await target.find(instance_id))
    assert len(found) <= 1
    key = found[0].key if found else await target.create(instance_id, content)
    current = await target.read(key)
    assert current is not None
    assert (current.withheld, current.invalid) == (None, None)
    fields = sorted(differing(content, current.content))
    if fields:
        await target.write(current, content, fields)
        after = await target.read(key)
        assert after is not None
        assert not differing(content, after.content)
    return fields
