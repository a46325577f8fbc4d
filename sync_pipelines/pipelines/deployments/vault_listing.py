"""Which secrets there are below the instances' ids, listed for the whole mount at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.systems.vault.errors import Forbidden
from sync_pipelines.systems.vault.kv import Kv

METADATA, MANIFEST, BINDINGS, CREDENTIALS = "metadata", "manifest", "bindings", "credentials"
BINDINGS_FOLDER = "bindings/"
"""Where newer brokers have a folder for each binding."""
NEVER_READ = {BINDINGS_FOLDER: "", CREDENTIALS: ""}
"""Only that they are there is looked at, so that their stamps do not matter."""
NAMES = frozenset({METADATA, MANIFEST, BINDINGS, BINDINGS_FOLDER, CREDENTIALS})


@dataclass(frozen=True, slots=True)
class Below:
    """The known secrets below the instances' ids.

    Attributes:
        names: by instance id; ``None`` when the token may not list the whole mount.
        stamps: of the secrets by instance id and name, see :meth:`Kv.stamps`; ``None`` where the server tells none.
        backed_up: ids of the instances that have backups.
    """

    names: Mapping[str, frozenset[str]] | None = None
    stamps: Mapping[str, Mapping[str, str | None]] | None = None
    backed_up: frozenset[str] = frozenset()

    def of(self, instance_id: str) -> frozenset[str] | None:
        """Return the names of one instance; ``None`` when they have to be asked for."""
        return None if self.names is None else self.names.get(instance_id, frozenset())


async def read_below(kv: Kv, backups: str, *, with_stamps: bool) -> Below:
    """List the mount.

    Arguments:
        backups: path of the backups below an instance's id.
        with_stamps: ask for them, too.

    Raises:
        PeerError: it cannot be listed, for another reason than the token's policy.
    """
    stamps = await kv.stamps() if with_stamps else None
    try:
        paths = await kv.list_all() if stamps is None else list(stamps)
    except Forbidden:
        return Below()
    names: dict[str, set[str]] = {}
    stamps_of: dict[str, dict[str, str | None]] = {}
    backed_up = set()
    for path in paths:
        folder, _, rest = path.partition("/")
        name = BINDINGS_FOLDER if rest.startswith(BINDINGS_FOLDER) else rest
        if name in NAMES:
            names.setdefault(folder, set()).add(name)
            if stamps is not None:
                stamps_of.setdefault(folder, {})[name] = stamps[path]
        elif rest.startswith(f"{backups}/") and uuid_of(folder) == folder:
            backed_up.add(folder)
    shared: dict[frozenset[str], frozenset[str]] = {}
    known = {folder: shared.setdefault(found := frozenset(every), found) for folder, every in names.items()}
    return Below(known, None if stamps is None else stamps_of, frozenset(backed_up))
