"""Backups of instances in Vault: ``<id>/<path>/<seconds since 1970>``, with an index beside them.

What is in the folder is the truth; the index is what others read first. A backup that already holds what is about to be
replaced is not made twice, also when a change that was interrupted goes on from the middle.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.pipelines.deployments.archive import (
    ArchiveDamaged,
    BackupIndex,
    backup_document,
    expired,
    lasting,
    pack,
    unpack,
)
from sync_pipelines.pipelines.deployments.held import Held
from sync_pipelines.pipelines.deployments.long_texts import Workbench
from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.pipelines.deployments.spelled_index import natural_key_of
from sync_pipelines.pipelines.deployments.vault_listing import MANIFEST, METADATA
from sync_pipelines.systems.vault.documents import same_json
from sync_pipelines.systems.vault.errors import CasMismatch
from sync_pipelines.systems.vault.index import Entry
from sync_pipelines.systems.vault.kv import Kv
from sync_pipelines.systems.vault.paths import PEER

INDEX_NAME = "index"
ENTRY_FOLDER = "db/"
NO_OBJECT = "entry that is no object"
"""Where an archive, which holds objects, has an entry that is none."""
TRIES = 5
"""How often a write gives way to another writer of the same backups."""

_STAMP = re.compile(r"[1-9][0-9]{0,11}")

Documents = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that there is.

    Attributes:
        taken_at: seconds since 1970; its name.
        sha256: digest of its documents, ``None`` where the index tells none.
    """

    taken_at: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a backup can be restored from; ``problem`` says why not."""

    instance_id: str
    taken_at: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds. It contains secrets.

    Attributes:
        entry: of the index, ``None`` when the backup has none.
        metadata, manifest: ``None`` when the backup has none.
    """

    entry: Entry = field(default=None, repr=False)
    metadata: Mapping[str, Any] | None = field(default=None, repr=False)
    manifest: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Folder:
    stamps: list[int]
    index: BackupIndex
    version: int

    @property
    def newest(self) -> int | None:
        return self.stamps[-1] if self.stamps else None


class Backups:
    """Makes, lists and reads the backups of one mount's instances.

    Arguments:
        options: whether, where and how many.
        clock: present time, aware.
    """

    def __init__(self, kv: Kv, options: BackupOptions, clock: Callable[[], datetime]) -> None:
        self._kv = kv
        self._options = options
        self._clock = clock
        self._bench = Workbench()
        self.remarks: list[str] = []
        """What could not be removed, and why: backups that are too many are tried again with the next backup."""

    async def ensure(
        self, held: Held, replaced: Collection[str], *, always: bool = False, keep: int | None = None
    ) -> int | None:
        """Make sure that what is about to be replaced is in a backup, and return the newest one's time.

        Arguments:
            held: everything there is of the instance: all of it goes into the backup.
            replaced: paths in the archive of the documents that are about to be replaced, see :func:`documents_of`.
            always: whether backups are switched on or not.
            keep: time of a backup that must not be removed, however many there are.

        Returns:
            ``None`` when nothing that is there would be replaced, or backups are switched off.

        Raises:
            PeerError: there is no backup, so nothing may be changed; of kind permanent when the documents cannot be
                packed.
        """
        documents = documents_of(held)
        at_stake = {path: documents[path] for path in replaced if path in documents}
        if not at_stake or not (self._options.enabled or always):
            return None
        instance_id = natural_key_of(held.key)
        try:
            return await self._ensured(instance_id, documents, at_stake, keep)
        except ArchiveDamaged as damage:
            message = f"{damage}, so that nothing was changed; mend the instance's documents by hand"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=instance_id) from None
        except PeerError as error:
            error.message = f"no backup could be made, so that nothing was changed: {error.message}"
            raise

    async def of(self, instance_id: str) -> tuple[Backup, ...]:
        """Return the backups of an instance, newest first.

        Raises:
            PeerError: the id is none, or the backups cannot be listed.
        """
        folder = await self._folder(instance_id)
        return tuple(Backup(time, folder.index.digests.get(time)) for time in reversed(folder.stamps))

    async def read(self, instance_id: str, taken_at: int) -> Contents:
        """Return what a backup holds, with its digest verified.

        Raises:
            ArchiveDamaged: it cannot be used.
            PeerError: there is no such backup (gone), it is of another instance (permanent), or it cannot be read.
        """
        documents = await self._documents(instance_id, taken_at)
        if documents is None:
            message = f"there is no backup of {taken_at}"
            raise PeerError(PEER, FailureKind.GONE, message, key=instance_id)
        return _contents(instance_id, documents)

    async def verify(self, instance_id: str, taken_at: int) -> Verified:
        """Read a backup as a restoration would."""
        try:
            contents = await self.read(instance_id, taken_at)
        except (ArchiveDamaged, PeerError) as error:
            if isinstance(error, PeerError) and error.kind not in (FailureKind.GONE, FailureKind.PERMANENT):
                raise
            return Verified(instance_id, taken_at, str(error))
        return Verified(instance_id, taken_at, None if contents != Contents() else "it holds nothing")

    async def verify_sample(
        self, count: int, instance_ids: Sequence[str], *, chance: random.Random | None = None
    ) -> tuple[Verified, ...]:
        """Verify the newest backup of some instances, others each time.

        Arguments:
            count: instances looked at that have backups; of those without, as many again are passed over.
            instance_ids: to choose from.
            chance: given by tests.

        Raises:
            PeerError: Vault is out of reach.
        """
        chosen = (chance or random.Random()).sample(list(instance_ids), min(2 * count, len(instance_ids)))
        verified: list[Verified] = []
        for instance_id in chosen:
            newest = (await self._folder(instance_id)).newest
            if newest is not None:
                verified.append(await self.verify(instance_id, newest))
            if len(verified) == count:
                break
        return tuple(verified)

    async def _ensured(self, instance_id: str, documents: Documents, at_stake: Documents, keep: int | None) -> int:
        archive = await self._bench.do(_size(documents), pack, documents)
        for _ in range(TRIES):
            folder = await self._folder(instance_id)
            if folder.newest is not None and await self._has(instance_id, folder.newest, at_stake):
                if folder.newest not in folder.index.backups:
                    # The run that made it was killed before it came into the index.
                    digest = await self._digest(instance_id, folder.newest)
                    await self._note(instance_id, folder, folder.newest, digest, keep)
                return folder.newest
            # Later than the newest: order by name is order in time, whatever the clock says.
            taken_at = max(int(self._clock().timestamp()), (folder.newest or 0) + 1)
            try:
                await self._put(self._path(instance_id, taken_at), backup_document(archive, taken_at), 0)
            except CasMismatch:
                continue
            await self._note(instance_id, folder, taken_at, archive.sha256, keep)
            return taken_at
        raise PeerError(PEER, FailureKind.TRANSIENT, "others make backups of it at the same time", key=instance_id)

    async def _has(self, instance_id: str, taken_at: int, at_stake: Documents) -> bool:
        """Say whether a backup holds what is at stake. A damaged one holds nothing."""
        try:
            kept = await self._documents(instance_id, taken_at) or {}
        except ArchiveDamaged:
            return False
        return all(
            path in kept and same_json(lasting(kept[path]), lasting(document)) for path, document in at_stake.items()
        )

    async def _note(
        self, instance_id: str, folder: _Folder, taken_at: int, sha256: str | None, keep: int | None
    ) -> None:
        """Write the index with one more backup, and remove those that are too many."""
        for attempt in range(TRIES):
            if attempt:
                folder = await self._folder(instance_id)
            stamps = {*folder.stamps, taken_at}
            known = {time: digest for time, digest in folder.index.digests.items() if time in stamps}
            index = replace(folder.index, backups=tuple(sorted(stamps, reverse=True)), digests=known)
            if sha256 is not None:
                index = index.with_backup(taken_at, sha256)
            removed = await self._clean(instance_id, stamps, keep)
            if removed:
                index = index.without(removed, int(self._clock().timestamp()))
            try:
                await self._put(self._path(instance_id, INDEX_NAME), index.document(), folder.version)
            except CasMismatch:
                continue
            return
        raise PeerError(PEER, FailureKind.TRANSIENT, "others change the index of its backups", key=instance_id)

    async def _clean(self, instance_id: str, stamps: Collection[int], keep: int | None) -> list[int]:
        removed: list[int] = []
        if not self._options.cleanup:
            return removed
        try:
            for time in expired(stamps, self._options.retention):
                if time == keep:
                    continue
                await self._kv.delete_all(self._path(instance_id, time))
                removed.append(time)
        except PeerError as error:
            if error.kind is FailureKind.AUTH or isinstance(error, PeerUnavailable):
                raise
            # The backup that was asked for is there.
            self.remarks.append(f"backups of {instance_id} that are too many were not removed: {error}")
        return removed

    async def _folder(self, instance_id: str) -> _Folder:
        names = await self._kv.list(self._path(instance_id))
        stamps = sorted(int(name) for name in names if _STAMP.fullmatch(name))
        secret = await self._kv.read(self._path(instance_id, INDEX_NAME)) if INDEX_NAME in names else None
        if secret is None:
            return _Folder(stamps, BackupIndex(), 0)
        return _Folder(stamps, BackupIndex.read(secret.data), secret.version or 0)

    async def _documents(self, instance_id: str, taken_at: int) -> Documents | None:
        secret = await self._kv.read(self._path(instance_id, taken_at))
        if secret is None or secret.data is None:
            return None
        text, digest = secret.data.get("archive"), secret.data.get("sha256")
        if not isinstance(text, str):
            return _of_blacksmith(instance_id, secret.data)
        # Packed texts of this kind are a tenth as long.
        return await self._bench.do(10 * len(text), unpack, text, digest if isinstance(digest, str) else None)

    async def _digest(self, instance_id: str, taken_at: int) -> str | None:
        secret = await self._kv.read(self._path(instance_id, taken_at))
        digest = (secret.data or {}).get("sha256") if secret is not None else None
        return digest if isinstance(digest, str) else None

    async def _put(self, path: str, document: Mapping[str, Any], version: int) -> None:
        await self._kv.write(path, document, cas=version if self._kv.has_cas else None)

    def _path(self, instance_id: str, name: int | str | None = None) -> str:
        if uuid_of(instance_id) != instance_id:
            message = f"{instance_id!r} is no instance id in lower case"
            raise PeerError(PEER, FailureKind.PERMANENT, message)
        folder = f"{instance_id}/{self._options.path}"
        return folder if name is None else f"{folder}/{name}"


def documents_of(held: Held) -> Documents:
    """Return what there is of an instance by its path in an archive."""
    folder = natural_key_of(held.key)
    documents: Documents = {}
    if held.entry is not None:
        is_object = isinstance(held.entry, Mapping)
        documents[entry_path(folder)] = dict(held.entry) if is_object else {NO_OBJECT: held.entry}
    for name, secret in ((METADATA, held.metadata), (MANIFEST, held.manifest)):
        if secret is not None and secret.data is not None:
            documents[f"{folder}/{name}"] = secret.data
    return documents


def _size(documents: Documents) -> int:
    """Return the size of the texts in documents; properties are about as long as the manifest that they are of."""
    return sum(len(value) for document in documents.values() for value in document.values() if isinstance(value, str))


def entry_path(instance_id: str) -> str:
    """Return the path that an archive has an instance's entry of the index at."""
    return ENTRY_FOLDER + instance_id


def _contents(instance_id: str, documents: Documents) -> Contents:
    paths = {entry_path(instance_id), f"{instance_id}/{METADATA}", f"{instance_id}/{MANIFEST}"}
    if documents.keys() - paths:
        message = "the backup holds documents of something else; it is not restored from"
        raise PeerError(PEER, FailureKind.PERMANENT, message, key=instance_id)
    entry: Entry = documents.get(entry_path(instance_id))
    if entry is not None and entry.keys() == {NO_OBJECT}:
        entry = entry[NO_OBJECT]
    return Contents(entry, documents.get(f"{instance_id}/{METADATA}"), documents.get(f"{instance_id}/{MANIFEST}"))


def _of_blacksmith(instance_id: str, document: Mapping[str, Any]) -> Documents:
    """Return the documents of a backup in Blacksmith's own form, which has them side by side and no digest."""
    places = {"index": entry_path(instance_id), METADATA: f"{instance_id}/{METADATA}"}
    places[MANIFEST] = f"{instance_id}/{MANIFEST}"
    return {path: document[name] for name, path in places.items() if isinstance(document.get(name), dict)}
