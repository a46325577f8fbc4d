"""What Vault holds of one instance, and how a connection uses Vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments.documents import STALE_AFTER
from sync_pipelines.pipelines.deployments.orphans import REMOVE_AFTER
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.pipelines.deployments.safe_yaml import Limits
from sync_pipelines.pipelines.deployments.vault_cache import is_storable, stamp_of
from sync_pipelines.pipelines.deployments.vault_listing import BINDINGS, MANIFEST, METADATA
from sync_pipelines.systems.vault.index import Entry
from sync_pipelines.systems.vault.kv import Secret
from sync_pipelines.systems.vault.paths import PEER


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How one connection uses Vault.

    Attributes:
        director: what names its Director in index entries.
        other_directors: those of other connections to the same Vault.
        server: what names the Vault, free of secrets; for the identity of snapshots.
        remove: whether entries that have been orphans for long are removed.
        remove_after: since they were found orphaned.
        manifest_limits: up to which a manifest's properties are read; the usual ones when not given.
    """

    director: str
    other_directors: frozenset[str] = frozenset()
    backup: BackupOptions = field(default_factory=BackupOptions)
    stale_after: timedelta = STALE_AFTER
    remove: bool = False
    remove_after: timedelta = REMOVE_AFTER
    server: str = ""
    manifest_limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What Vault holds of an instance. It contains secrets.

    Attributes:
        key: of the index entry, as it is spelled.
        names: of the secrets below the instance's id.
        bindings: their ids; ``None`` when they are not known.
        bindings_stamp: of the secret that has them.
    """

    key: str
    entry: Entry = field(repr=False)
    names: frozenset[str] = frozenset()
    metadata: Secret | None = field(default=None, repr=False)
    manifest: Secret | None = field(default=None, repr=False)
    bindings: tuple[str, ...] | None = None
    bindings_stamp: str | None = None


def moved(instance_id: str) -> PeerError:
    """Return the error for an entry that somebody else changes at the same time."""
    message = "somebody changed its entry in the index since it was read; the entry was not written"
    return PeerError(PEER, FailureKind.TRANSIENT, message, key=instance_id)


def stamp_of_held(held: Held) -> str | None:
    """Return the stamp that a listing has as long as nothing of what was read is written."""
    secrets = ((METADATA, held.metadata), (MANIFEST, held.manifest))
    stamps = {name: secret.stamp if secret else None for name, secret in secrets}
    stamps[BINDINGS] = held.bindings_stamp
    return stamp_of(held.entry, held.names, stamps) if is_storable(held.key) else None
