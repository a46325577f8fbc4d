"""Reading instances from Vault: the index, and the documents of each instance below its id.

Secrets of an instance are never read: of its credentials it is known whether they are there, of its bindings their ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.deployments.held import Held, TargetSettings, moved, stamp_of_held
from sync_pipelines.pipelines.deployments.instance import KEPT_IN, Document, content_of_vault
from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.pipelines.deployments.orphans import orphan_facts
from sync_pipelines.pipelines.deployments.spelled_index import SpelledIndex, natural_key_of
from sync_pipelines.pipelines.deployments.vault_cache import VaultCache, is_storable, stamp_of
from sync_pipelines.pipelines.deployments.vault_listing import (
    BINDINGS,
    BINDINGS_FOLDER,
    CREDENTIALS,
    MANIFEST,
    METADATA,
    NAMES,
    Below,
    read_below,
)
from sync_pipelines.systems.vault.errors import Forbidden, Sealed
from sync_pipelines.systems.vault.index import Entries, Entry, Index
from sync_pipelines.systems.vault.kv import Kv, Secret
from sync_pipelines.systems.vault.paths import PEER

AT_ONCE = 8
"""Instances read at a time, each with one request."""
PAGE = 128
_OF_THE_ENTRY = sorted(name for name, places in KEPT_IN.items() if places == {Document.ENTRY})


class VaultReading:
    """Reads the instances that one connection is concerned with.

    Arguments:
        index: of the same mount.
        cache: lets a sweep use again what it read before of instances that nobody wrote since. Whatever is read for the
            sake of a change is read from Vault.
    """

    def __init__(self, kv: Kv, index: Index, settings: TargetSettings, cache: VaultCache | None = None) -> None:
        self._kv = kv
        self._cache = cache
        self._index = index
        self._settings = settings
        self._seen = SpelledIndex(Entries({}, None))
        self._swept: Below | None = None
        self._names: dict[str, frozenset[str]] = {}
        self._written: dict[str, Mapping[str, Secret]] = {}
        self._last_read: dict[str, tuple[str, Content]] = {}
        self.backed_up: frozenset[str] = frozenset()
        """Ids of the instances that had backups at the last sweep."""

    @property
    def identity(self) -> str:
        """Name of what is read."""
        return f"mount {self._kv.mount.path} at {self._settings.server or 'this server'}"

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every entry of the index, with what is below its id.

        Entries of other directors are left out, orphans too: who has such a deployment by now finds its entry when it
        is about to make one. A key that is no instance id, and an instance whose documents the
        token may not read, come withheld; one whose documents cannot be read comes as invalid: it is there.
        """
        sweep.identity = self.identity
        seen = await self._read_index()
        sweep.seen = sweep.declared = len(seen.by_id)
        below = self._swept = await self._below(sweep)
        own = [key for key, entry in seen.by_id.items() if not self._names_another(entry)]
        sweep.ignored = len(seen.by_id) - len(own)
        for start in range(0, len(own), PAGE):
            yield await self._page(seen, own[start : start + PAGE], below)
        if self._cache is not None and below.stamps is not None:
            await self._cache.forget_others([key for key in own if is_storable(key)])

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the entries of these ids, those of other directors withheld."""
        sweep.identity = self.identity
        seen = await self._read_index()
        keys = [key for natural_key in natural_keys for key in seen.spellings(natural_key)]
        sweep.seen = len(keys)
        for start in range(0, len(keys), PAGE):
            yield await _each(keys[start : start + PAGE], lambda key: self._looked_at(seen, key, Below()))

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every entry of this id, however its key is spelled; one of another director withheld."""
        seen = await self._read_index()
        return [await self._record(seen, key, None) for key in seen.spellings(natural_key)]

    async def read(self, right_key: str) -> Record | None:
        """Return one entry; ``None`` when there is none.

        Arguments:
            right_key: the instance id; the key as it is spelled where two keys differ by case only.
        """
        seen = await self._read_index()
        key = seen.key_of(right_key)
        if key is None:
            return None
        record = await self._record(seen, key, self._names.pop(key, None), self._written.pop(key, None))
        if len(self._last_read) >= PAGE:
            await self.keep_last_read()
        return record

    async def keep_last_read(self) -> None:
        """Let the next sweep use what was read last: after a change that is what the change led to."""
        rows, self._last_read = self._last_read, {}
        if self._cache is not None:
            await self._cache.keep(rows)

    def made(self, instance_id: str) -> None:
        """Take note that an entry was just made: where the sweep found no document, none is looked for below it."""
        # What appeared there since is not overwritten: documents are then written as the first of their kind.
        if self._kv.has_cas and self._swept is not None and self._swept.of(instance_id) == frozenset():
            self._names[instance_id] = frozenset()

    def wrote(self, held: Held, documents: Mapping[str, Secret]) -> None:
        """Take note of documents, by name, that were just written: the next reading only asks if they are there still.

        What somebody else put beside them meanwhile is seen by the next sweep. That needs check-and-set, too.
        """
        if self._kv.has_cas:
            instance_id = natural_key_of(held.key)
            self._names[instance_id] = held.names.union(documents)
            self._written[instance_id] = documents

    async def held(self, current: Record) -> Held:
        """Return what there is of a record that was just read, without its bindings.

        The entry is that of the newest reading of the index: whoever writes it checks that it is still the same.

        Raises:
            PeerError: (transient) the entry is not what the record says any more.
        """
        key = self._seen.key_of(current.key)
        if key is None:
            key = (await self._read_index()).key_of(current.key)
        entry = None if key is None else self._seen.by_id[key]
        if key is None or not self._says(current.content, key, entry):
            raise moved(current.natural_key)
        return await self.documents(key, entry, current.meta.get("documents", ()), with_bindings=False)

    async def entry(self, instance_id: str) -> tuple[str, Entry | None]:
        """Return the key of an instance's entry as it is spelled now, and the entry; ``None`` when there is none.

        Raises:
            PeerError: (permanent) two keys differ by case only.
        """
        seen = await self._read_index()
        keys = seen.spellings(instance_id)
        if len(keys) > 1:
            message = f"the keys {', '.join(keys)} of the index differ by case only; remove all but one by hand"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=instance_id)
        return (keys[0], seen.by_id[keys[0]]) if keys else (instance_id, None)

    async def instance_ids(self) -> list[str]:
        """Return the ids of all instances in the index."""
        seen = await self._read_index()
        return sorted({natural_key_of(key) for key in seen.by_id if uuid_of(key)})

    async def documents(
        self,
        key: str,
        entry: Entry,
        names: Collection[str],
        *,
        with_bindings: bool,
        written: Mapping[str, Secret] | None = None,
    ) -> Held:
        """Read the documents of an instance.

        Arguments:
            key: an instance id in any case.
            names: of the secrets below its id.
            written: documents, by name, that are known to be there, and are not read.
        """
        folder, known = natural_key_of(key), written or {}
        bindings, stamp = await self._bindings(folder, names) if with_bindings else (None, None)
        return Held(
            key,
            entry,
            frozenset(names),
            metadata=known.get(METADATA) or await self._document(folder, METADATA, names),
            manifest=known.get(MANIFEST) or await self._document(folder, MANIFEST, names),
            bindings=bindings,
            bindings_stamp=stamp,
        )

    async def _still_there(self, folder: str, written: Mapping[str, Secret]) -> dict[str, Secret]:
        """Return those of the documents just written that nobody wrote since: one request for both of them."""
        stamps = None
        if self._swept is not None and self._swept.stamps is not None:
            stamps = await self._kv.stamps(folder)
        return {} if stamps is None else {name: one for name, one in written.items() if _is_at(stamps.get(name), one)}

    async def _document(self, folder: str, name: str, names: Collection[str]) -> Secret | None:
        return await self._kv.read(f"{folder}/{name}") if name in names else None

    async def binding_ids(self, folder: str, names: Collection[str]) -> tuple[str, ...] | None:
        """Return the ids of an instance's bindings, ``None`` when they are kept in another way or are not to be read.

        What belongs to them holds credentials, and is dropped here.
        """
        ids, _ = await self._bindings(folder, names)
        return ids

    async def _bindings(self, folder: str, names: Collection[str]) -> tuple[tuple[str, ...] | None, str | None]:
        try:
            secret = await self._kv.read(f"{folder}/{BINDINGS}") if BINDINGS in names else None
        except Forbidden:
            # A policy that keeps credentials from this pipeline is a good one.
            return None, None
        if secret is None or secret.data is None:
            return (None if BINDINGS_FOLDER in names else ()), None
        return tuple(sorted(secret.data)), secret.stamp

    async def names(self, instance_id: str) -> frozenset[str]:
        """Return which of the known secrets there are below an instance's id."""
        return NAMES.intersection(await self._kv.list(instance_id))

    async def _below(self, sweep: Sweep) -> Below:
        """Read which secrets there are in the whole mount, and where it can be told, when they were written."""
        below = await read_below(self._kv, self._settings.backup.path, with_stamps=self._cache is not None)
        if below.names is None:
            sweep.notes.append("the token may not list the whole mount, so every instance is listed by itself")
        else:
            self.backed_up = below.backed_up
        if self._cache is not None and below.stamps is None:
            sweep.notes.append(f"every instance is read anew, because {self._why_not_cached()}")
        return below

    def _why_not_cached(self) -> str:
        if not self._kv.has_cas:
            return "a mount of KV version 1 does not tell when a secret was written"
        return (
            "the server does not tell of the whole mount when its secrets were written; that takes OpenBao, a policy "
            "with the capability 'scan' on detailed-metadata, and an answer that is not too large"
        )

    async def _page(self, seen: SpelledIndex, keys: Sequence[str], below: Below) -> list[Record]:
        """Return the records of some entries, those from the cache of which nothing was written since."""
        cache = self._cache
        if cache is None or below.stamps is None:
            return await _each(keys, lambda key: self._looked_at(seen, key, below))
        stamps = {key: stamp for key in keys if (stamp := _stamp(key, seen.by_id[key], below)) is not None}
        kept = await cache.contents(stamps)
        unknown = [key for key in keys if key not in kept]
        read = await _each(unknown, lambda key: self._looked_at(seen, key, below))
        found = dict(zip(unknown, read, strict=True))
        await self.keep_last_read()
        return [found.get(key) or self._kept_record(seen, key, kept[key], below) for key in keys]

    def _kept_record(self, seen: SpelledIndex, key: str, content: Content, below: Below) -> Record:
        natural_key = natural_key_of(key)
        # The steps of an orphan depend on the settings too, and those are not in the stamp.
        content = {**content, **self._orphan_facts(key, seen.by_id[key])}
        return Record(
            seen.right_key(key), natural_key, content, meta={"documents": sorted(below.of(natural_key) or ())}
        )

    async def _looked_at(self, seen: SpelledIndex, key: str, below: Below) -> Record:
        """Return the record of an entry, whatever befalls its documents: that it is there, the index has told."""
        natural_key = natural_key_of(key)
        try:
            return await self._record(seen, key, below.of(natural_key))
        except PeerError as error:
            if error.kind is FailureKind.AUTH or isinstance(error, PeerUnavailable | Sealed):
                raise
            return Record(seen.right_key(key), natural_key, {}, invalid=f"its documents cannot be read: {error}")

    async def _record(
        self,
        seen: SpelledIndex,
        key: str,
        names: Collection[str] | None,
        written: Mapping[str, Secret] | None = None,
    ) -> Record:
        natural_key, right_key, entry = natural_key_of(key), seen.right_key(key), seen.by_id[key]
        if uuid_of(key) is None:
            reason = "its key in the index is not an instance id; correct or remove it by hand"
            return Record(right_key, natural_key, {}, withheld=reason)
        if self._belongs_elsewhere(entry):
            reason = f"belongs to director {entry['director']}: the same instance id on two directors is a conflict"
            return Record(right_key, natural_key, {}, withheld=reason)
        try:
            names = await self.names(natural_key) if names is None else names
            known = await self._still_there(natural_key, written) if written else None
            held = await self.documents(key, entry, names, with_bindings=True, written=known)
        except Forbidden as refusal:
            return Record(right_key, natural_key, {}, withheld=f"the token's policy hides it: {refusal}")
        content = self._content(held)
        if self._swept is not None and self._swept.stamps is not None and (stamp := stamp_of_held(held)) is not None:
            self._last_read[key] = (stamp, content)
        return Record(right_key, natural_key, content, meta={"documents": sorted(names)})

    async def _read_index(self) -> SpelledIndex:
        entries = await self._index.entries()
        if entries is not self._seen.entries:
            self._seen = SpelledIndex(entries)
        return self._seen

    def _content(self, held: Held) -> Content:
        instance_id = natural_key_of(held.key)
        content = content_of_vault(
            instance_id,
            held.entry,
            _data(held.metadata),
            _data(held.manifest),
            bindings=held.bindings,
            has_credentials=CREDENTIALS in held.names,
            key=held.key,
        )
        return {**content, **self._orphan_facts(held.key, held.entry)}

    def _orphan_facts(self, key: str, entry: Entry) -> Content:
        return orphan_facts(key, entry, self._settings.director, self._settings.other_directors)

    def _says(self, content: Content, key: str, entry: Entry) -> bool:
        """Say whether an entry is what a content was made of, as far as the entry alone decides."""
        now = self._content(Held(key, entry))
        return all(same(content.get(name), now.get(name)) for name in _OF_THE_ENTRY)

    def _belongs_elsewhere(self, entry: Entry) -> bool:
        """Say whether another director has an entry's deployment; of an orphan it has none any more."""
        return self._names_another(entry) and entry.get("orphaned") is not True

    def _names_another(self, entry: Entry) -> bool:
        director = entry.get("director") if isinstance(entry, Mapping) else None
        return isinstance(director, str) and director in self._settings.other_directors


def _is_at(stamp: str | None, secret: Secret) -> bool:
    return stamp is not None and stamp == secret.stamp


def _data(secret: Secret | None) -> dict[str, Any] | None:
    return None if secret is None else secret.data


async def _each(keys: Sequence[str], work: Callable[[str], Awaitable[Record]]) -> list[Record]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> Record:
        async with slots:
            return await work(key)

    tasks = [asyncio.ensure_future(one(key)) for key in keys]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stamp(key: str, entry: Entry, below: Below) -> str | None:
    natural_key = natural_key_of(key)
    if below.stamps is None or not is_storable(key):
        return None
    return stamp_of(entry, below.of(natural_key) or (), below.stamps.get(natural_key, {}))
