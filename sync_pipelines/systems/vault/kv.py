"""Secrets of a KV mount, the same for both versions of the engine.

Paths are below the mount, without ``data/`` or ``metadata/``. Whoever needs more than version 1 can do asks
:attr:`Kv.has_cas` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.vault.errors import unexpected_shape
from sync_pipelines.systems.vault.mounts import KvMount
from sync_pipelines.systems.vault.paths import PEER, folder_path
from sync_pipelines.systems.vault.session import VaultSession

Names = list[str]

_FOLDERS_AT_ONCE = 64
_SCAN_REFUSED = frozenset({400, 403, 404, 405, 501})


@dataclass(frozen=True, slots=True)
class Secret:
    """What is at a path.

    Attributes:
        data: the document; ``None`` when the version is deleted, or when null was written. Numbers with a fraction are
            ``Decimal``.
        version: ``None`` on a version 1 mount.
        deleted: there was a document, and its newest version is deleted or destroyed.
        stamp: tells the version from all others, also from one of the same number after the secret was removed and made
            anew; ``None`` where there are no versions.
    """

    data: dict[str, Any] | None = field(repr=False)
    version: int | None = None
    deleted: bool = False
    stamp: str | None = field(default=None, compare=False)


class WrittenVersion(int):
    """The number of a version that was just written, with its stamp."""

    stamp: str | None

    def __new__(cls, number: int, stamp: str | None) -> WrittenVersion:
        version = super().__new__(cls, number)
        version.stamp = stamp
        return version


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a secret.

    Attributes:
        current: the newest; a check-and-set names it, deleted or not.
        kept: those whose data can still be read.
        cas_required: a write without check-and-set is refused.
        stamp: of the newest, see :class:`Secret`.
    """

    current: int
    kept: frozenset[int]
    cas_required: bool
    stamp: str | None = field(default=None, compare=False)


class Kv(Protocol):
    """Access to one mount. Every method raises ``PeerError``; a path that is none raises ``InvalidPath``."""

    has_cas: ClassVar[bool]
    """Whether ``write`` takes ``cas``, so that it cannot undo what somebody else wrote meanwhile."""

    @property
    def mount(self) -> KvMount:
        """The mount."""
        ...

    async def read(self, path: str) -> Secret | None:
        """Return the newest version of a secret, ``None`` when there never was one (or all of it was removed)."""
        ...

    async def write(self, path: str, data: Mapping[str, Any], *, cas: int | None = None) -> int | None:
        """Put a whole document in place of the one there. Return its version, ``None`` on a version 1 mount.

        Arguments:
            cas: the version that the document replaces, 0 for none; a deleted version counts.

        Raises:
            CasMismatch: another version is there.
            ValueError: ``cas`` on a mount that does not know it, or data without a JSON form.
        """
        ...

    async def list(self, path: str = "") -> Names:
        """Return the names in a folder; those of folders end with a slash. Deleted secrets are listed too."""
        ...

    async def list_all(self, prefix: str = "") -> Names:
        """Return the paths of all secrets below a folder, sorted; of the whole mount by default."""
        ...

    async def stamps(self, folder: str = "") -> Mapping[str, str | None] | None:
        """Return the stamp of the newest version of every secret in a folder, by its path there, see :class:`Secret`.

        Writing, deleting, bringing back and making anew show in it. ``None`` for a stamp that is not told, and for all
        of them where one request cannot have them: only OpenBao's version 2 can.
        """
        ...

    async def delete_version(self, path: str, version: int) -> None:
        """Delete the data of one version. If it is not the newest any more, the secret stays as it is."""
        ...

    async def delete_all(self, path: str) -> None:
        """Remove a secret with all its versions, whether or not it is there. Versions begin at 1 again."""
        ...

    async def versions(self, path: str) -> Versions | None:
        """Return the versions of a secret; ``None`` when there is none, and always on a version 1 mount."""
        ...


class Folders:
    """Listing of one mount: with OpenBao's SCAN where there is one, else folder by folder.

    Arguments:
        root: path below which the engine lists, with a slash at its end.
    """

    def __init__(self, session: VaultSession, root: str) -> None:
        self._session = session
        self._root = root
        self._can_scan: bool | None = None

    async def list(self, path: str = "") -> Names:
        """Return the names in a folder."""
        place = self._root + folder_path(path)
        try:
            answer = await self._session.request("LIST", place, write=False)
        except PeerError as error:
            # An empty folder and one that never was are the same.
            if error.kind is FailureKind.GONE:
                return []
            raise
        return _keys(f"LIST /v1/{place}", answer)

    async def list_all(self, prefix: str = "") -> Names:
        """Return the paths of all secrets below a folder."""
        folder = prefix.removesuffix("/") + "/" if prefix else ""
        if self._can_scan is not False:
            found = await self._scanned(prefix)
            self._can_scan = found is not None
            if found is not None:
                return sorted(folder + key for key in found)
        return sorted(await self._walked(folder))

    async def _scanned(self, prefix: str) -> Names | None:
        """Return what SCAN finds, ``None`` where it cannot be used."""
        place = self._root + folder_path(prefix)
        try:
            answer = await self._session.request("SCAN", place, write=False)
        except PeerError as error:
            if refused_listing(error):
                return None
            raise
        return _keys(f"SCAN /v1/{place}", answer)

    async def _walked(self, folder: str) -> Names:
        found: Names = []
        level = [folder]
        while level:
            now, level = level[:_FOLDERS_AT_ONCE], level[_FOLDERS_AT_ONCE:]
            for parent, names in zip(now, await asyncio.gather(*map(self.list, now)), strict=True):
                found += [parent + name for name in names if not name.endswith("/")]
                level += [parent + name for name in names if name.endswith("/")]
        return found


def refused_listing(error: PeerError) -> bool:
    """Say whether a listing cannot be had in this way: SCAN is OpenBao's alone and a right of its own."""
    return error.status in _SCAN_REFUSED


def _keys(operation: str, answer: dict[str, Any] | None) -> Names:
    data = (answer or {}).get("data")
    if not isinstance(data, dict):
        raise unexpected_shape(operation, "no object 'data'", write=False)
    # SCAN of an empty folder answers 200 without keys, where LIST answers 404.
    keys = data.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise unexpected_shape(operation, "keys are not texts", write=False)
    return keys


def document(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document to be sent. Raises ``ValueError`` when it is no JSON object."""
    if not isinstance(data, Mapping):
        raise ValueError(f"a secret is a JSON object, not {type(data).__name__}")
    return dict(data)


def refused(message: str, operation: str) -> PeerError:
    """Return the error for what the server would refuse; nothing was sent."""
    return PeerError(PEER, FailureKind.PERMANENT, message, operation=operation)
