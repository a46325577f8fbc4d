"""The two versions of the KV engine, and how to open the one that a mount has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.vault.errors import DeletedVersion, unexpected_shape
from sync_pipelines.systems.vault.kv import (
    Folders,
    Kv,
    Secret,
    Versions,
    WrittenVersion,
    document,
    refused,
    refused_listing,
)
from sync_pipelines.systems.vault.mounts import KvMount, KvVersion, detect_mount
from sync_pipelines.systems.vault.paths import folder_path, secret_path
from sync_pipelines.systems.vault.session import VaultSession


async def open_kv(session: VaultSession, mount: str, *, version: KvVersion | None = None) -> Kv:
    """Return access to a mount.

    Arguments:
        version: of the KV engine; asked of the server when it is not given.
    """
    found = KvMount(mount.strip("/"), version) if version else await detect_mount(session, mount)
    return KvV2(session, found) if found.version == 2 else KvV1(session, found)


class KvV2(Folders):
    """A mount with versions."""

    has_cas: ClassVar[bool] = True

    def __init__(self, session: VaultSession, mount: KvMount) -> None:
        self.mount = mount
        self._at = folder_path(mount.path)
        super().__init__(session, f"{self._at}/metadata/")

    async def read(self, path: str) -> Secret | None:
        """See :meth:`Kv.read`."""
        place = f"{self._at}/data/{secret_path(path)}"
        try:
            answer = await self._session.request("GET", place, write=False)
        except DeletedVersion as deleted:
            return Secret(None, deleted.version, deleted=True)
        except PeerError as error:
            if error.kind is FailureKind.GONE:
                return None
            raise
        match answer:
            case {"data": {"data": dict() | None as data, "metadata": {"version": int(version)} as about}}:
                return Secret(data, version, stamp=_stamp(version, about))
        raise unexpected_shape(f"GET /v1/{place}", "no data with a version", write=False)

    async def write(self, path: str, data: Mapping[str, Any], *, cas: int | None = None) -> int | None:
        """See :meth:`Kv.write`."""
        place = f"{self._at}/data/{secret_path(path)}"
        options = {} if cas is None else {"options": {"cas": cas}}
        answer = await self._session.request("POST", place, body={"data": document(data), **options}, write=True)
        match answer:
            case {"data": {"version": int(version)} as about}:
                return WrittenVersion(version, _stamp(version, about))
        raise unexpected_shape(f"POST /v1/{place}", "no version", write=True)

    async def delete_version(self, path: str, version: int) -> None:
        """See :meth:`Kv.delete_version`."""
        place = f"{self._at}/delete/{secret_path(path)}"
        await self._session.request("POST", place, body={"versions": [version]}, write=True)

    async def delete_all(self, path: str) -> None:
        """See :meth:`Kv.delete_all`."""
        await self._session.request("DELETE", f"{self._at}/metadata/{secret_path(path)}", write=True)

    async def versions(self, path: str) -> Versions | None:
        """See :meth:`Kv.versions`."""
        place = f"{self._at}/metadata/{secret_path(path)}"
        try:
            answer = await self._session.request("GET", place, write=False)
        except PeerError as error:
            if error.kind is FailureKind.GONE:
                return None
            raise
        match answer:
            case {"data": {"current_version": int(current), "versions": dict() | None as known} as data}:
                states = known or {}
                kept = [int(number) for number, state in states.items() if _is_kept(state)]
                stamp = _stamp(current, states.get(str(current)))
                return Versions(current, frozenset(kept), bool(data.get("cas_required")), stamp)
        raise unexpected_shape(f"GET /v1/{place}", "no versions", write=False)

    async def stamps(self, folder: str = "") -> Mapping[str, str | None] | None:
        """See :meth:`Kv.stamps`. One request, in which the server reads the metadata of every secret."""
        place = f"{self._at}/detailed-metadata/{folder_path(folder)}"
        if self._can_scan is False:
            return None
        try:
            answer = await self._session.request("SCAN", place, write=False)
        except PeerError as error:
            # An answer that is too large is a permanent error without a status.
            if refused_listing(error) or (error.kind is FailureKind.PERMANENT and error.status is None):
                return None
            raise
        match answer:
            case {"data": {"keys": list() as keys, "key_info": dict() as known}}:
                return {key: _newest(known.get(key)) for key in keys if isinstance(key, str) and not key.endswith("/")}
            case {"data": {**rest}} if not rest:
                return {}
        return None


class KvV1(Folders):
    """A mount without versions: the last writer wins."""

    has_cas: ClassVar[bool] = False

    def __init__(self, session: VaultSession, mount: KvMount) -> None:
        self.mount = mount
        self._at = folder_path(mount.path)
        super().__init__(session, f"{self._at}/")

    async def read(self, path: str) -> Secret | None:
        """See :meth:`Kv.read`."""
        place = f"{self._at}/{secret_path(path)}"
        try:
            answer = await self._session.request("GET", place, write=False)
        except PeerError as error:
            if error.kind is FailureKind.GONE:
                return None
            raise
        data = (answer or {}).get("data")
        if not isinstance(data, dict):
            raise unexpected_shape(f"GET /v1/{place}", "no object 'data'", write=False)
        return Secret(data)

    async def write(self, path: str, data: Mapping[str, Any], *, cas: int | None = None) -> int | None:
        """See :meth:`Kv.write`. An empty document is refused here as by the server."""
        place = f"{self._at}/{secret_path(path)}"
        if cas is not None:
            raise ValueError(f"mount {self.mount.path!r} is KV version 1, which knows no check-and-set")
        if not data:
            raise refused("KV version 1 keeps no empty document; delete the secret instead", f"POST /v1/{place}")
        await self._session.request("POST", place, body=document(data), write=True)
        return None

    async def stamps(self, folder: str = "") -> Mapping[str, str | None] | None:
        """See :meth:`Kv.stamps`; a mount without versions has none."""
        return None

    async def delete_version(self, path: str, version: int) -> None:
        """See :meth:`Kv.delete_version`; always raises ``ValueError``."""
        raise ValueError(f"mount {self.mount.path!r} is KV version 1, which knows no versions")

    async def delete_all(self, path: str) -> None:
        """See :meth:`Kv.delete_all`."""
        await self._session.request("DELETE", f"{self._at}/{secret_path(path)}", write=True)

    async def versions(self, path: str) -> Versions | None:
        """See :meth:`Kv.versions`."""
        secret_path(path)
        return None


def _newest(known: Any) -> str | None:
    match known:
        case {"current_version": int(current), "versions": dict() as versions}:
            return _stamp(current, versions.get(str(current)))
    return None


def _stamp(version: int, state: Any) -> str | None:
    match state:
        # Deleting a version does not show in its own time, and one that is to be deleted (delete_version_after) goes
        # without being written.
        case {"created_time": str(made), "deletion_time": "", "destroyed": False}:
            return f"{version} {made}"
    return None


def _is_kept(state: Any) -> bool:
    if not isinstance(state, dict) or state.get("destroyed"):
        return False
    # With delete_version_after the time is set from the beginning and lies ahead. Nanoseconds are more than Python
    # reads, and seconds are enough here.
    deleted = str(state.get("deletion_time") or "")[:19]
    return not deleted or deleted > datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
