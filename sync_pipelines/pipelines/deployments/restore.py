"""Puts an instance back from a backup: what would change, the change itself, and the proof that it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments.archive import ArchiveDamaged
from sync_pipelines.pipelines.deployments.backups import Backup, Backups, Contents, Verified, documents_of
from sync_pipelines.pipelines.deployments.held import Held, TargetSettings, moved
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.pipelines.deployments.vault_listing import MANIFEST, METADATA
from sync_pipelines.pipelines.deployments.vault_reading import VaultReading
from sync_pipelines.systems.vault.documents import same_json
from sync_pipelines.systems.vault.errors import CasMismatch
from sync_pipelines.systems.vault.index import Entry, Index
from sync_pipelines.systems.vault.kv import Kv, Secret
from sync_pipelines.systems.vault.paths import PEER

ENTRY = "index entry"
WHOLE = "the whole document"


class Difference(StrEnum):
    """How a field differs from the backup's."""

    ADDED = "comes back"
    CHANGED = "gets the old value"
    REMOVED = "goes"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that a restoration changes. Values are left out: they may be secret.

    Attributes:
        document: ``index entry``, ``metadata`` or ``manifest``.
        field: its top-level name, or ``the whole document``.
    """

    document: str
    field: str
    kind: Difference


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restoration changed, or would change.

    Attributes:
        taken_at: of the backup that was restored from, seconds since 1970.
        differences: none when Vault held the backup's state already.
        saved_at: backup of the state before; ``None`` when nothing was written.
        written: whether anything was.
    """

    instance_id: str
    taken_at: int
    differences: tuple[FieldDifference, ...]
    saved_at: int | None = None
    written: bool = False


class Restorer:
    """Restores the instances of one mount.

    Arguments:
        index: of the same mount.
        options: where the backups are; the state before a restoration is saved even where backups are switched off.
        clock: present time, aware.
    """

    def __init__(self, kv: Kv, index: Index, options: BackupOptions, clock: Callable[[], datetime]) -> None:
        self._kv = kv
        self._index = index
        self._backups = Backups(kv, options, clock)
        self._reading = VaultReading(kv, index, TargetSettings(director="", backup=options))

    async def list_backups(self, instance_id: str) -> tuple[Backup, ...]:
        """Return the backups of an instance, newest first.

        Raises:
            PeerError: the id is none, or the backups cannot be listed.
        """
        return await self._backups.of(instance_id)

    async def restore(self, instance_id: str, taken_at: int | None = None, *, dry_run: bool = False) -> Restoration:
        """Put the index entry, the metadata and the manifest of a backup in place of those there are.

        A document that the backup does not have stays as it is. The state before is saved first, whole.

        Arguments:
            taken_at: of the backup, in seconds since 1970; the newest by default.
            dry_run: only tell what would change.

        Raises:
            PeerError: there is no such backup (gone); it is damaged or of another instance (permanent); somebody else
                wrote at the same time (transient), where what was written stays: restore again.
        """
        taken_at = await self._newest(instance_id) if taken_at is None else taken_at
        try:
            contents = await self._backups.read(instance_id, taken_at)
        except ArchiveDamaged as damage:
            raise PeerError(PEER, FailureKind.PERMANENT, str(damage), key=instance_id) from None
        held = await self._held(instance_id)
        told = Restoration(instance_id, taken_at, differences(held, contents))
        if dry_run or not told.differences:
            return told
        saved_at = await self._backups.ensure(held, list(documents_of(held)), always=True, keep=taken_at)
        await self._put(f"{instance_id}/{MANIFEST}", held.manifest, contents.manifest)
        await self._put(f"{instance_id}/{METADATA}", held.metadata, contents.metadata)
        await self._put_entry(instance_id, held, contents.entry)
        if differences(await self._held(instance_id), contents):
            message = "it was restored, and shows something else already: somebody else writes at the same time"
            raise PeerError(PEER, FailureKind.TRANSIENT, message, key=instance_id)
        return Restoration(instance_id, taken_at, told.differences, saved_at, written=True)

    async def verify_sample(self, count: int) -> tuple[Verified, ...]:
        """Verify the newest backup of some instances, others each time. Raises ``PeerError``."""
        return await self._backups.verify_sample(count, await self._reading.instance_ids())

    async def _newest(self, instance_id: str) -> int:
        backups = await self._backups.of(instance_id)
        if not backups:
            raise PeerError(PEER, FailureKind.GONE, "there is no backup of it", key=instance_id)
        return backups[0].taken_at

    async def _held(self, instance_id: str) -> Held:
        key, entry = await self._reading.entry(instance_id)
        names = await self._reading.names(instance_id)
        return await self._reading.documents(key, entry, names, with_bindings=False)

    async def _put(self, path: str, before: Secret | None, document: Mapping[str, Any] | None) -> None:
        if document is None or (before is not None and same_json(before.data, dict(document))):
            return
        version = 0 if before is None else before.version
        try:
            await self._kv.write(path, document, cas=version if self._kv.has_cas else None)
        except CasMismatch as mismatch:
            mismatch.kind = FailureKind.TRANSIENT
            raise

    async def _put_entry(self, instance_id: str, held: Held, entry: Entry | None) -> None:
        if entry is None:
            return

        def edited(found: Entry | None) -> Entry:
            if not same_json(found, held.entry) and not same_json(found, entry):
                raise moved(instance_id)
            return entry

        await self._index.change(held.key, edited)


def differences(held: Held, contents: Contents) -> tuple[FieldDifference, ...]:
    """Return the fields in which an instance differs from a backup, by document and name."""
    documents = (
        (ENTRY, held.entry, contents.entry),
        (METADATA, None if held.metadata is None else held.metadata.data, contents.metadata),
        (MANIFEST, None if held.manifest is None else held.manifest.data, contents.manifest),
    )
    return tuple(
        FieldDifference(name, field, kind)
        for name, now, then in documents
        if then is not None
        for field, kind in _between(now, then)
    )


def _between(now: Any, then: Any) -> list[tuple[str, Difference]]:
    if now is None:
        return [(WHOLE, Difference.ADDED)]
    if not isinstance(now, Mapping) or not isinstance(then, Mapping):
        return [] if same_json(now, then) else [(WHOLE, Difference.CHANGED)]
    added = [(name, Difference.ADDED) for name in then.keys() - now.keys()]
    removed = [(name, Difference.REMOVED) for name in now.keys() - then.keys()]
    common = now.keys() & then.keys()
    changed = [(name, Difference.CHANGED) for name in common if not same_json(now[name], then[name])]
    return sorted(added + removed + changed)
