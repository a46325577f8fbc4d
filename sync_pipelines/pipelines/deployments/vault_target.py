"""The right side: service instances in Vault, written one document after the other.

Every change of an instance goes backup, manifest, metadata, index entry. Each step looks whether it was done before, so
that a change that was interrupted goes on from where it stopped. On a version 2 mount a write names the version that it
replaces. A version 1 mount knows none: there a document is read again after it was written, and what a foreign writer
put there in between is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.deployments.backups import Backups, documents_of, entry_path
from sync_pipelines.pipelines.deployments.debugging import LOG
from sync_pipelines.pipelines.deployments.documents import (
    merged_entry,
    merged_manifest,
    merged_metadata,
    orphaned_entry,
)
from sync_pipelines.pipelines.deployments.held import Held, TargetSettings, moved
from sync_pipelines.pipelines.deployments.instance import Document, documents_behind
from sync_pipelines.pipelines.deployments.long_texts import Workbench
from sync_pipelines.pipelines.deployments.manifest import property_bag, text_digest, uuid_of
from sync_pipelines.pipelines.deployments.orphans import OrphanPolicy, Step
from sync_pipelines.pipelines.deployments.spelled_index import natural_key_of
from sync_pipelines.pipelines.deployments.times import stamp
from sync_pipelines.pipelines.deployments.vault_cache import VaultCache
from sync_pipelines.pipelines.deployments.vault_listing import CREDENTIALS, MANIFEST, METADATA
from sync_pipelines.pipelines.deployments.vault_reading import VaultReading
from sync_pipelines.systems.vault.documents import as_read, same_json
from sync_pipelines.systems.vault.errors import CasMismatch
from sync_pipelines.systems.vault.index import Entry, Index
from sync_pipelines.systems.vault.kv import Kv, Secret
from sync_pipelines.systems.vault.paths import PEER

_TRIES, _PAUSE, _LONGEST_PAUSE = 4, 0.5, 10.0
_PASSING = frozenset({FailureKind.TRANSIENT, FailureKind.AMBIGUOUS, FailureKind.RATE_LIMITED})

Json = dict[str, Any]


class DeploymentTexts(Protocol):
    """What is asked of the Director at the moment of writing."""

    async def manifest(self, name: str, sha256: str) -> str:
        """Return the manifest of a deployment, which has exactly this digest (hex, of its UTF-8).

        Raises:
            PeerError: (transient) the Director has another one by now; or it cannot be asked.
        """
        ...

    async def is_present(self, name: str) -> bool:
        """Say whether the Director has a deployment of this name now.

        Raises:
            PeerError: it cannot be asked, or does not tell everything to this login.
        """
        ...


class VaultTarget:
    """Reads and writes the instances of one connection.

    Arguments:
        index: of the same mount.
        clock: present time, aware.
        cache: of what sweeps read.

    Attributes:
        orphans: what becomes of entries whose deployment is gone; the pair's policies.
        backups: of the instances.
    """

    def __init__(
        self,
        kv: Kv,
        index: Index,
        texts: DeploymentTexts,
        settings: TargetSettings,
        clock: Callable[[], datetime],
        cache: VaultCache | None = None,
    ) -> None:
        self.reading = VaultReading(kv, index, settings, cache)
        self.backups = Backups(kv, settings.backup, clock)
        self.orphans = OrphanPolicy(clock, settings.stale_after, settings.remove, settings.remove_after)
        self._kv = kv
        self._index = index
        self._texts = texts
        self._settings = settings
        self._clock = clock
        self._bench = Workbench()

    def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """See :meth:`VaultReading.sweep`."""
        return self.reading.sweep(sweep)

    def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """See :meth:`VaultReading.look`."""
        return self.reading.look(natural_keys, sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """See :meth:`VaultReading.find`."""
        return await self.reading.find(natural_key)

    async def read(self, right_key: str) -> Record | None:
        """See :meth:`VaultReading.read`."""
        return await self.reading.read(right_key)

    async def create(self, natural_key: str, content: Content) -> str:
        """Put the instance's entry into the index; its documents are written afterwards. Returns its id.

        Raises:
            PeerError: the id is none (permanent); an entry appeared meanwhile (transient), which stays as it is.
        """
        if uuid_of(natural_key) != natural_key:
            message = f"{natural_key!r} is no instance id; nothing is written for it"
            raise PeerError(PEER, FailureKind.PERMANENT, message)

        def made(entry: Entry | None) -> Entry:
            if entry is not None:
                raise moved(natural_key)
            return merged_entry(None, content, self._clock())

        LOG.debug("adds an entry for %s", natural_key)
        await self._index.change(natural_key, made)
        self.reading.made(natural_key)
        return natural_key

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the documents that hold these fields to what is wanted. What is right already is not written.

        Raises:
            PeerError: (transient) somebody else changed a document since it was read, or the Director's manifest is
                another one by now.
        """
        held = await self.reading.held(current)
        instance_id, now = natural_key_of(held.key), self._clock()
        behind = documents_behind(fields)
        text = None
        if Document.MANIFEST in behind or "properties_digest" in fields:
            text = await self._manifest_text(content)
        manifest, metadata, entry = held.manifest, held.metadata, held.entry
        wanted_manifest = wanted_metadata = wanted_entry = None
        if Document.MANIFEST in behind and text is not None:
            wanted_manifest = merged_manifest(_data(manifest), text, now)
        if Document.METADATA in behind:
            bag = await self._bag(text) if "properties_digest" in fields else None
            bindings = await self.reading.binding_ids(instance_id, held.names)
            has_credentials = CREDENTIALS in held.names
            wanted_metadata = merged_metadata(
                _data(metadata), content, bag, now, bindings, has_credentials, fields=fields
            )
        if Document.ENTRY in behind:
            wanted_entry = merged_entry(entry, content, now)
        is_moved = held.key != instance_id and wanted_entry is not None
        changes = {
            f"{instance_id}/{MANIFEST}": _differs(_data(manifest), wanted_manifest),
            f"{instance_id}/{METADATA}": _differs(_data(metadata), wanted_metadata),
            entry_path(instance_id): _differs(entry, wanted_entry) or is_moved,
        }
        await self.backups.ensure(held, [path for path, is_changed in changes.items() if is_changed])
        documents = {MANIFEST: (manifest, wanted_manifest), METADATA: (metadata, wanted_metadata)}
        written = {
            name: await self._put(f"{instance_id}/{name}", before, wanted)
            for name, (before, wanted) in documents.items()
            if wanted is not None
        }
        if wanted_entry is not None:
            await self._put_entry(held, wanted_entry)
        self.reading.wrote(held, written)

    async def retire(self, current: Record) -> None:
        """Take the step that is due for an instance whose deployment is gone; none, when none is due.

        Marked as orphaned first, then as stale; then removed, where that is switched on: after a last backup the
        entry, the manifest and the metadata go, while credentials, bindings and backups stay.

        Raises:
            PeerError: its deployment is there, or somebody else changed what would go (transient); it is not to be
                marked (permanent).
        """
        if (why := current.content.get("not_orphanable")) is not None:
            raise PeerError(PEER, FailureKind.PERMANENT, f"it is not marked as orphaned: {why}", key=current.key)
        step = self.orphans.due(current.content)
        if step is None:
            return
        await self._must_be_gone(current.natural_key, current.content)
        if step is Step.REMOVE:
            await self._remove(current)
            return
        held = await self.reading.held(current)
        await self.backups.ensure(held, [entry_path(current.natural_key)])
        await self._put_entry(held, orphaned_entry(held.entry, self._clock(), self._settings.stale_after))

    async def _remove(self, current: Record) -> None:
        """Mark the entry, remove the documents as they were saved, and then take the entry out of the index.

        The mark comes first, because the index alone refuses what somebody else changed: a document has no
        check-and-set for its removal. The entry goes last, because without one nothing tells of documents that are
        left: a removal that was interrupted is due again.
        """
        instance_id = current.natural_key
        key, entry = await self.reading.entry(instance_id)
        if entry is None:
            names = await self.reading.names(instance_id)
            held = await self.reading.documents(key, None, names, with_bindings=False)
        else:
            held = await self.reading.held(current)
        # A removal that goes on has its backup; another one would hold only what is left, and come to be the newest.
        if entry is None or "removal_began" not in entry:
            await self.backups.ensure(held, list(documents_of(held)), always=True)
        saved = {
            f"{instance_id}/{name}": secret
            for name, secret in ((MANIFEST, held.manifest), (METADATA, held.metadata))
            if secret is not None
        }
        for path, secret in saved.items():
            if not _is_same(await self._kv.read(path), secret):
                message = f"somebody wrote {path} since it was saved; nothing was removed"
                raise PeerError(PEER, FailureKind.TRANSIENT, message, key=instance_id)
        if entry is not None:
            marked = {"removal_began": stamp(self._clock()), **entry}
            await self._put_entry(held, marked)
            held = replace(held, key=instance_id, entry=marked)
        for path, secret in saved.items():
            await self._delete(path, secret)
        if entry is not None:
            await self._put_entry(held, None)

    async def _delete(self, path: str, saved: Secret) -> None:
        """Remove a document that nobody wrote since. Tried several times: the instance is half gone already."""
        for attempt in range(_TRIES):
            try:
                now = await self._kv.read(path)
                if now is not None and _is_same(now, saved):
                    LOG.debug("removes %s", path)
                    await self._kv.delete_all(path)
                elif now is not None:
                    self.backups.remarks.append(f"{path} is left, because it was written while it was to be removed")
                return
            except PeerError as error:
                if isinstance(error, PeerUnavailable) or error.kind not in _PASSING or attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(max(_PAUSE * 2**attempt, min(error.retry_after or 0.0, _LONGEST_PAUSE)))

    async def _bag(self, text: str | None) -> Json | None:
        return await self._bench.do(len(text or ""), property_bag, text, self._settings.manifest_limits)

    async def _must_be_gone(self, instance_id: str, content: Content) -> None:
        """Ask the Director once more: by the name in the entry, and by the one that the broker would have given."""
        names = {name for name in (content.get("deployment_name"), f"{content['plan_id']}-{instance_id}") if name}
        for name in sorted(names):
            if await self._texts.is_present(name):
                message = f"deployment {name} is there; the instance stays in service"
                raise PeerError(PEER, FailureKind.TRANSIENT, message, key=instance_id)

    async def _manifest_text(self, content: Content) -> str | None:
        sha256 = content.get("manifest_sha256")
        if sha256 is None:
            return None
        text = await self._texts.manifest(content["deployment_name"], sha256)
        if text_digest(text) != sha256:
            message = f"the manifest of {content['deployment_name']} changed since it was compared"
            raise PeerError(PEER, FailureKind.TRANSIENT, message)
        return text

    async def _put(self, path: str, before: Secret | None, document: Json) -> Secret:
        """Put a document in place of the one that was read, unless it is the same. Return what is there then."""
        if before is not None and before.data is not None and same_json(before.data, document):
            return before
        LOG.debug("writes %s", path)
        if self._kv.has_cas:
            try:
                version = await self._kv.write(path, document, cas=0 if before is None else before.version)
            except CasMismatch as mismatch:
                # It will be another version when it is read again.
                mismatch.kind = FailureKind.TRANSIENT
                raise
            return Secret(as_read(document), version, stamp=getattr(version, "stamp", None))
        await self._kv.write(path, document)
        after = await self._kv.read(path)
        if after is None or not same_json(after.data, document):
            message = "somebody else wrote this secret at the same time, and the mount is KV version 1"
            raise PeerError(PEER, FailureKind.TRANSIENT, message, operation=path)
        return after

    async def _put_entry(self, held: Held, entry: Entry | None) -> None:
        """Put an entry in place of the one that was read, under the id in lower case."""
        instance_id = natural_key_of(held.key)
        LOG.debug("%s the entry of %s", "takes out" if entry is None else "writes", instance_id)

        def edited(found: Entry | None) -> Entry | None:
            if same_json(found, entry):
                return found
            # What is replaced has to be what was compared, and what the backup holds.
            if not same_json(found, held.entry):
                raise moved(instance_id)
            return entry

        await self._index.change(instance_id, edited, moved_from=held.key)


def _data(secret: Secret | None) -> Json | None:
    return None if secret is None else secret.data


def _is_same(now: Secret | None, before: Secret) -> bool:
    # Secrets compare without their stamps, and a removed one begins with version 1 again.
    return (
        now is not None
        and now.stamp == before.stamp
        and now.version == before.version
        and same_json(now.data, before.data)
    )


def _differs(before: Entry, wanted: Mapping[str, Any] | None) -> bool:
    return wanted is not None and not same_json(before, wanted)
