"""Hands the oldest entries of the audit log out to files, and takes them away once they are safe there."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, Engine

from sync_pipelines.core.audit import GENESIS, ChainedEntry, verify_chain
from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.errors import SyncError
from sync_pipelines.store.audit import Archive, append, chains, entries, newest_archive
from sync_pipelines.store.statements import text

_OLD = (
    "SELECT coalesce((SELECT min(number) FROM sync.audit WHERE chain = :chain "
    "AND at >= now() - make_interval(days => :days)), max(number) + 1) - 1 AS last, min(number) AS first "
    "FROM sync.audit WHERE chain = :chain"
)
# Any fixed number will do; it has to differ from the keys of other advisory locks on the server.
_LOCK = 7_296_313_015


def exported_line(chain: str, item: ChainedEntry) -> str:
    """Return an entry as one line of an export: what it says, with its log, its number and both hashes."""
    chained = {"pipeline": chain, "number": item.number, "previous_hash": item.previous, "hash": item.hash}
    return canonical_json({**item.entry, **chained}) + "\n"


def archive_audit(engine: Engine, days: int, folder: Path, *, dry_run: bool = False) -> list[Archive]:
    """Export the entries older than some days and take them away, each chain in a transaction of its own.

    The chain goes on: what was exported is noted as the anchor of what stays, and in the chain itself.

    Returns what was archived, or would be; without digests then.

    Raises:
        SyncError: a file cannot be written, or the chain is broken.
    """
    with engine.connect() as connection:
        names = chains(connection)
    done = []
    for chain in names:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            span = connection.execute(text(_OLD), {"chain": chain, "days": days}).one()
            if span.first is None or span.last < span.first:
                continue
            if dry_run:
                done.append(Archive(chain, span.first, span.last, "", "", ""))
            else:
                done.append(_archive(connection, chain, span.first, span.last, folder))
    return done


def _archive(connection: Connection, chain: str, first: int, last: int, folder: Path) -> Archive:
    before = newest_archive(connection, chain)
    after, anchor = (before.last + 1, before.hash) if before else (1, None)
    end = text("SELECT hash FROM sync.audit WHERE chain = :chain AND number = :last")
    head = connection.execute(end, {"chain": chain, "last": last}).scalar_one()
    old = entries(connection, chain, until=last)
    report = verify_chain(old, length=last, head=head, first=after, anchor=anchor)
    if not report.intact:
        raise SyncError(f"the audit log {chain} is broken and was left as it is: {report.reason}")
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', chain)}-{first}-{last}.jsonl"
    digest = _write(path, (exported_line(chain, item) for item in entries(connection, chain, until=last)))
    made = Archive(chain, first, last, head, str(path), digest)
    connection.execute(
        text(
            "INSERT INTO sync.audit_archive (chain, first, last, hash, file, digest) "
            "VALUES (:chain, :first, :last, :hash, :file, :digest)"
        ),
        asdict(made),
    )
    connection.execute(
        text("DELETE FROM sync.audit WHERE chain = :chain AND number <= :last"), {"chain": chain, "last": last}
    )
    append(connection, chain, {"action": "archive", **asdict(made)})
    return made


def _write(path: Path, lines: Iterable[str]) -> str:
    """Write a file that is there whole or not at all. Returns its digest."""
    digest = hashlib.sha256()
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            for line in lines:
                document = line.encode()
                digest.update(document)
                target.write(document)
            target.flush()
            os.fsync(target.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SyncError(f"{path} cannot be written, and the audit log was left whole: {error.strerror}") from None
    return digest.hexdigest()


def verify_archives(connection: Connection, chain: str) -> list[str]:
    """Say what is wrong with the exported files of a chain; empty when each is there as it was written.

    A file that was moved elsewhere is not found: it is told of, and its digest is what it has to have.
    """
    wrong, previous, expected = [], GENESIS, 1
    rows = connection.execute(
        text(
            "SELECT chain, first, last, hash, file, digest FROM sync.audit_archive WHERE chain = :chain ORDER BY last"
        ),
        {"chain": chain},
    )
    for one in (Archive(*row) for row in rows):
        if one.first != expected:
            wrong.append(f"entries {expected} to {one.first - 1} are in no file")
        wrong += _file_faults(one, previous)
        previous, expected = one.hash, one.last + 1
    return wrong


def _file_faults(one: Archive, previous: str) -> list[str]:
    digest, first = hashlib.sha256(), b""
    try:
        with open(one.file, "rb") as source:
            for line in source:
                first = first or line
                digest.update(line)
    except OSError as error:
        return [f"{one.file} cannot be read ({error.strerror}); its SHA-256 is {one.digest}"]
    if digest.hexdigest() != one.digest:
        return [f"{one.file} was altered: its SHA-256 is not {one.digest}"]
    return [] if f'"previous_hash":"{previous}"'.encode() in first else [f"{one.file} does not follow the one before"]
