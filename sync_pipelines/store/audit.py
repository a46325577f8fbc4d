"""The audit log: append-only, hash-chained, one chain a pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.audit import GENESIS, ChainedEntry, ChainReport, chain_hash, verify_chain
from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.store.statements import Part, execute, text


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be added: what it says, and the scope and record it is found by."""

    entry: Mapping[str, Any]
    scope: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Entries that were handed out to a file and are not in the database any more.

    Attributes:
        first, last: their numbers.
        hash: of the last of them, which the first kept entry follows.
        digest: SHA-256 of the file, in hex.
    """

    chain: str
    first: int
    last: int
    hash: str
    file: str
    digest: str


def append(
    connection: Connection, chain: str, entry: Mapping[str, Any], *, scope: str | None = None, key: str | None = None
) -> None:
    """Add one entry within the current transaction, as :func:`append_all`."""
    append_all(connection, chain, [NewEntry(entry, scope, key)])


def append_all(connection: Connection, chain: str, entries: Sequence[NewEntry]) -> None:
    """Add entries within the current transaction, as :func:`appending`."""
    if entries:
        execute(connection, *appending(connection, chain, entries))


def appending(connection: Connection, chain: str, entries: Sequence[NewEntry]) -> tuple[Part, Part]:
    """Add entries, at least one. The chain is locked until the end of the current transaction.

    Their ``timestamp`` (UTC, RFC 3339) is set here. Writers of one chain wait for each other at its head row.
    """
    number, previous = _lock_head(connection, chain)
    times, documents, hashes = [], [], [previous]
    for new in entries:
        at = datetime.now(UTC)
        stamped = {"timestamp": at, **new.entry}
        times.append(at)
        documents.append(canonical_json(stamped))
        hashes.append(chain_hash(hashes[-1], stamped))
    head = Part(
        "UPDATE sync.audit_head SET number = :number, hash = :hash WHERE chain = :chain",
        {"chain": chain, "number": number + len(entries), "hash": hashes[-1]},
    )
    rows = Part(
        "INSERT INTO sync.audit (chain, number, at, scope, key, entry, previous, hash) "
        "SELECT :chain, :number + g.position, g.at, g.scope, g.key, CAST(g.entry AS jsonb), g.previous, g.hash "
        "FROM unnest(CAST(:times AS timestamptz[]), CAST(:scopes AS text[]), CAST(:keys AS text[]), "
        "CAST(:entries AS text[]), CAST(:previous AS text[]), CAST(:hashes AS text[])) "
        "WITH ORDINALITY AS g(at, scope, key, entry, previous, hash, position)",
        {
            "chain": chain,
            "number": number,
            "times": times,
            "scopes": [new.scope for new in entries],
            "keys": [new.key for new in entries],
            "entries": documents,
            "previous": hashes[:-1],
            "hashes": hashes[1:],
        },
    )
    return head, rows


def _lock_head(connection: Connection, chain: str) -> tuple[int, str]:
    lock = text("SELECT number, hash FROM sync.audit_head WHERE chain = :chain FOR UPDATE")
    head = connection.execute(lock, {"chain": chain}).one_or_none()
    if head is None:
        connection.execute(
            text(
                "INSERT INTO sync.audit_head (chain, number, hash) VALUES (:chain, 0, :genesis) ON CONFLICT DO NOTHING"
            ),
            {"chain": chain, "genesis": GENESIS},
        )
        head = connection.execute(lock, {"chain": chain}).one()
    return head.number, head.hash


def entries(
    connection: Connection,
    chain: str,
    *,
    key: str | None = None,
    since: datetime | None = None,
    until: int | None = None,
) -> Iterator[ChainedEntry]:
    """Yield a chain's entries in order, optionally only those of one record, from a time on, or up to a number."""
    rows = connection.execute(
        text(
            "SELECT number, previous, hash, entry FROM sync.audit WHERE chain = :chain "
            "AND (CAST(:key AS text) IS NULL OR key = :key) AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) "
            "AND (CAST(:until AS bigint) IS NULL OR number <= :until) ORDER BY number"
        ),
        {"chain": chain, "key": key, "since": since, "until": until},
        execution_options={"yield_per": 1000},
    )
    with rows:
        for row in rows:
            yield ChainedEntry(row.number, row.previous, row.hash, row.entry)


def latest(connection: Connection, chain: str, *, key: str, limit: int) -> list[ChainedEntry]:
    """Return the newest entries of one record, oldest of them first."""
    rows = connection.execute(
        text(
            "SELECT number, previous, hash, entry FROM sync.audit WHERE chain = :chain AND key = :key "
            "ORDER BY number DESC LIMIT :limit"
        ),
        {"chain": chain, "key": key, "limit": limit},
    )
    return [ChainedEntry(*row) for row in rows][::-1]


def newest(
    connection: Connection,
    *,
    places: Sequence[tuple[str, str]] | None = None,
    chain: str | None = None,
    key: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[tuple[str, ChainedEntry]]:
    """Return entries of all chains with the chain of each, the newest first.

    Arguments:
        places: chains and scopes; only entries about one of them are returned. ``None`` for all there are.
    """
    rows = connection.execute(
        text(
            "SELECT chain, number, previous, hash, entry FROM sync.audit a "
            "WHERE (CAST(:chain AS text) IS NULL OR chain = :chain) AND (CAST(:key AS text) IS NULL OR key = :key) "
            "AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) AND (NOT :some OR EXISTS (SELECT FROM "
            "unnest(CAST(:chains AS text[]), CAST(:scopes AS text[])) AS p (chain, scope) "
            "WHERE p.chain = a.chain AND p.scope = a.scope)) ORDER BY at DESC, chain, number DESC LIMIT :limit"
        ),
        {
            "chain": chain,
            "key": key,
            "since": since,
            "limit": limit,
            "some": places is not None,
            "chains": [name for name, _ in places or ()],
            "scopes": [scope for _, scope in places or ()],
        },
    )
    return [(row.chain, ChainedEntry(row.number, row.previous, row.hash, row.entry)) for row in rows]


def chains(connection: Connection) -> list[str]:
    """Return the names of all chains."""
    return list(connection.execute(text("SELECT chain FROM sync.audit_head ORDER BY chain")).scalars())


def newest_archive(connection: Connection, chain: str) -> Archive | None:
    """Return the newest file that entries of a chain were handed out to, ``None`` when the chain is whole here."""
    row = connection.execute(
        text(
            "SELECT chain, first, last, hash, file, digest FROM sync.audit_archive WHERE chain = :chain "
            "ORDER BY last DESC LIMIT 1"
        ),
        {"chain": chain},
    ).one_or_none()
    return None if row is None else Archive(*row)


def verify(connection: Connection, chain: str) -> ChainReport:
    """Recompute every hash of a chain and compare its end with the head kept apart.

    Where older entries were handed out to a file, the first one here must follow the last one there.
    """
    head = connection.execute(
        text("SELECT number, hash FROM sync.audit_head WHERE chain = :chain"), {"chain": chain}
    ).one_or_none()
    if head is None:
        return ChainReport(0)
    before = newest_archive(connection, chain)
    first, anchor = (before.last + 1, before.hash) if before else (1, None)
    return verify_chain(entries(connection, chain), length=head.number, head=head.hash, first=first, anchor=anchor)
