"""What was read of an instance in Vault, used again as long as nothing of it was written. Facts and digests only.

Unlike the Director's details nothing here can grow old: the server tells of every secret when its newest version came
to be, so whoever else writes is seen at the next sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.records import Content
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.deployments.vault_listing import NEVER_READ
from sync_pipelines.store import peer_cache
from sync_pipelines.store.scopes import Scope
from sync_pipelines.systems.vault.documents import read_json, write_json
from sync_pipelines.systems.vault.index import Entry

FOLDER = "/vault/"
"""What the keys in the store begin with. No deployment can have such a name."""
LONGEST = 86_400.0
"""Seconds after which an instance is read all the same: a mistake does not last for ever."""
_FORMAT = 1
"""Of the kept contents; another one means that they are read anew."""


class VaultCache:
    """Keeps the contents of one connection's instances.

    Arguments:
        engine: the store's database.
    """

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    async def contents(self, stamps: Mapping[str, str]) -> dict[str, Content]:
        """Return what is kept of instances, as far as it was made from what these stamps tell.

        Arguments:
            stamps: by key of the index.
        """

        def look() -> dict[str, Content]:
            with self._engine.begin() as connection:
                found = peer_cache.read(connection, self._scope, [FOLDER + key for key in stamps])
            kept = ((key, found.get(FOLDER + key), stamp) for key, stamp in stamps.items())
            return {
                key: content
                for key, cached, stamp in kept
                if cached is not None
                and cached.is_fresh(stamp, LONGEST)
                and (content := _content_of(cached.document)) is not None
            }

        return await in_thread(look) if stamps else {}

    async def keep(self, contents: Mapping[str, tuple[str, Content]]) -> None:
        """Keep contents, by key of the index, each with its stamp."""
        rows = {FOLDER + key: (stamp, _document_of(content)) for key, (stamp, content) in contents.items()}

        def put() -> None:
            with self._engine.begin() as connection:
                peer_cache.put(connection, self._scope, rows)

        if rows:
            await in_thread(put)

    async def forget_others(self, keys: Sequence[str]) -> None:
        """Forget everything but these keys of the index: there are no others."""

        def purge() -> None:
            with self._engine.begin() as connection:
                peer_cache.purge(connection, self._scope, [FOLDER + key for key in keys], folder=FOLDER)

        await in_thread(purge)


def stamp_of(entry: Entry, names: Collection[str], stamps: Mapping[str, str | None]) -> str | None:
    """Return a digest that is another one as soon as anything is that an instance's content is made of.

    Arguments:
        entry: of the index.
        names: of the secrets below the instance's id.
        stamps: of those by name.

    Returns:
        ``None`` when the server does not tell when one of them was written.
    """
    told = [(name, NEVER_READ.get(name, stamps.get(name))) for name in sorted(names)]
    if any(stamp is None for _, stamp in told):
        return None
    # The server hands keys out in an order of its own.
    return hashlib.blake2b(write_json([_FORMAT, entry, told], sort_keys=True), digest_size=16).hexdigest()


def is_storable(key: str) -> bool:
    """Say whether PostgreSQL takes a key."""
    return "\x00" not in key and key.isprintable()


def _document_of(content: Content) -> str:
    # As a text: a number with a fraction comes back exactly as it was.
    return write_json(content).decode()


def _content_of(document: Any) -> Content | None:
    return read_json(document.encode()) if isinstance(document, str) else None
