"""Backups of an instance: one deterministic archive of its documents, the index of the archives, and retention. Pure.

Two states of an instance that differ only in their history and stamps have the same digest, so that nothing is stored
twice. The digest is taken over the documents and not over the packed text, which depends on the compression library.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sync_pipelines.core.canonical import canonical_bytes
from sync_pipelines.core.errors import SyncError

VOLATILE = frozenset({"history", "reconciled_at", "updated_at", "updated", "last_synced_at", "days_orphaned"})
"""Top-level keys of a document that take no part in the digest."""
MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes that an archive may unpack to."""
REASON = "pre_reconciliation_backup"

Documents = Mapping[str, Mapping[str, Any]]
"""Path below the mount -> document."""


class Damage(StrEnum):
    """What is wrong with an archive."""

    NOT_PACKABLE = "a document has no canonical form"
    NOT_BASE64 = "it is not base64 text"
    NOT_GZIP = "it is not gzip, or cut short"
    TOO_LARGE = "it unpacks to more than may be"
    NOT_DOCUMENTS = "it holds something else than documents by path"
    DIGEST = "its digest is another: it was changed after it was made"


class ArchiveDamaged(SyncError):
    """An archive that is not restored from. The message quotes nothing: it may hold secrets."""

    def __init__(self, damage: Damage) -> None:
        self.damage = damage
        super().__init__(f"the backup cannot be used: {damage.value}")


@dataclass(frozen=True, slots=True)
class Archive:
    """A packed backup.

    Attributes:
        sha256: hex, over the documents without what changes at every run.
        text: base64 of gzip of canonical JSON.
    """

    sha256: str
    text: str = field(repr=False)


def pack(documents: Documents) -> Archive:
    """Return the archive of an instance's documents: the same bytes for the same documents.

    Raises:
        ArchiveDamaged: a document cannot be written as canonical JSON.
    """
    try:
        content = canonical_bytes(documents)
        digest = documents_digest(documents)
    except (ValueError, TypeError, RecursionError):
        raise ArchiveDamaged(Damage.NOT_PACKABLE) from None
    packed = gzip.compress(content, compresslevel=9, mtime=0)
    return Archive(digest, base64.b64encode(packed).decode("ascii"))


def unpack(text: str, sha256: str | None = None, *, max_bytes: int = MAX_UNPACKED) -> dict[str, dict[str, Any]]:
    """Return the documents of an archive; numbers with a fraction are ``Decimal``.

    Arguments:
        sha256: digest that they must have; ``None`` where none is known.
        max_bytes: most that is unpacked: a few kilobytes of gzip may hold gigabytes.

    Raises:
        ArchiveDamaged: it cannot be read, is too large, or has another digest.
    """
    try:
        documents = json.loads(_unzipped(_decoded(text), max_bytes), parse_float=Decimal)
    except (ValueError, RecursionError):
        raise ArchiveDamaged(Damage.NOT_DOCUMENTS) from None
    if not isinstance(documents, dict) or not all(isinstance(document, dict) for document in documents.values()):
        raise ArchiveDamaged(Damage.NOT_DOCUMENTS)
    if sha256 is not None and _digest_or_none(documents) != sha256:
        raise ArchiveDamaged(Damage.DIGEST)
    return documents


def documents_digest(documents: Documents) -> str:
    """Return the digest of an instance's documents without what changes at every run, in hex.

    Raises:
        ValueError: a number has no canonical form; ``TypeError`` for another value.
    """
    kept = {path: lasting(document) for path, document in documents.items()}
    return hashlib.sha256(canonical_bytes(kept)).hexdigest()


def backup_document(archive: Archive, taken_at: int) -> dict[str, Any]:
    """Return what is stored at ``<instance id>/<backup path>/<taken_at>``; ``taken_at`` is in seconds since 1970."""
    return {"timestamp": taken_at, "archive": archive.text, "sha256": archive.sha256, "backup_reason": REASON}


def expired(backups: Iterable[int], keep: int) -> list[int]:
    """Return the backups to remove, oldest first, so that the newest ``keep`` stay; 0 keeps all."""
    newest_first = sorted(set(backups), reverse=True)
    return newest_first[keep:][::-1] if keep > 0 else []


@dataclass(frozen=True, slots=True)
class BackupIndex:
    """What is stored at ``<instance id>/<backup path>/index``.

    Attributes:
        backups: times in seconds since 1970, newest first.
        digests: time -> digest of that archive; Blacksmith's own index has none.
        last_cleanup: seconds since 1970.
        unknown: keys of other writers, kept.
    """

    backups: tuple[int, ...] = ()
    digests: Mapping[int, str] = field(default_factory=dict)
    last_cleanup: int | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: object) -> BackupIndex:
        """Return the index of a document; parts that are not of its form count as absent."""
        row = document if isinstance(document, Mapping) else {}
        times, digests, cleanup = row.get("backups"), row.get("digests"), row.get("last_cleanup")
        known = sorted({time for time in map(_seconds, times) if time is not None}) if isinstance(times, list) else []
        named = digests.items() if isinstance(digests, Mapping) else ()
        return cls(
            backups=tuple(reversed(known)),
            digests={
                int(time): digest
                for time, digest in named
                if time.isascii() and time.isdigit() and len(time) <= 12 and isinstance(digest, str)
            },
            last_cleanup=_seconds(cleanup),
            unknown={key: row[key] for key in row if key not in ("backups", "digests", "last_cleanup")},
        )

    def with_backup(self, taken_at: int, sha256: str) -> BackupIndex:
        """Return the index with one more backup."""
        backups = tuple(sorted({*self.backups, taken_at}, reverse=True))
        return BackupIndex(backups, {**self.digests, taken_at: sha256}, self.last_cleanup, self.unknown)

    def without(self, removed: Iterable[int], cleaned_at: int) -> BackupIndex:
        """Return the index after a cleanup."""
        gone = set(removed)
        return BackupIndex(
            tuple(time for time in self.backups if time not in gone),
            {time: digest for time, digest in self.digests.items() if time not in gone},
            cleaned_at,
            self.unknown,
        )

    def document(self) -> dict[str, Any]:
        """Return the document to store."""
        known = {
            "backups": list(self.backups),
            "digests": {str(time): self.digests[time] for time in self.backups if time in self.digests},
        }
        cleanup = {} if self.last_cleanup is None else {"last_cleanup": self.last_cleanup}
        return {**self.unknown, **known, **cleanup}


def lasting(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without what changes at every run."""
    return {key: value for key, value in document.items() if key not in VOLATILE}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ArchiveDamaged(Damage.NOT_BASE64) from None


def _unzipped(packed: bytes, max_bytes: int) -> bytes:
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unzip.decompress(packed, max_bytes + 1)
    except zlib.error:
        raise ArchiveDamaged(Damage.NOT_GZIP) from None
    if len(content) > max_bytes:
        raise ArchiveDamaged(Damage.TOO_LARGE)
    if not unzip.eof or unzip.unused_data:
        raise ArchiveDamaged(Damage.NOT_GZIP)
    return content


def _digest_or_none(documents: Documents) -> str | None:
    try:
        return documents_digest(documents)
    except (ValueError, TypeError, RecursionError):
        return None


def _seconds(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None
