"""The audit log: append-only, hash-chained, one chain a pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from sync_pipelines.core.audit import GENESIS, ChainedEntry, ChainReport, chain_hash, verify_chain
from sync_pipelines.core.canonical import canonical_json


def append(
    connection: Connection, chain: str, entry: Mapping[str, Any], *, scope: str | None = None, key: str | None = None
) -> None:
    """Add one entry within the current transaction.

    The entry's ``timestamp`` (UTC, RFC 3339) is set here. Writers of one chain wait for each other at its head row.
    """
    connection.execute(
        text("INSERT INTO sync.audit_head (chain, number, hash) VALUES (:chain, 0, :genesis) ON CONFLICT DO NOTHING"),
        {"chain": chain, "genesis": GENESIS},
    )
    head = connection.execute(
        text("SELECT number, hash FROM sync.audit_head WHERE chain = :chain FOR UPDATE"), {"chain": chain}
    ).one()
    at = datetime.now(UTC)
    stamped = {"timestamp": at, **entry}
    hash_ = chain_hash(head.hash, stamped)
    row = {
        "chain": chain,
        "number": head.number + 1,
        "at": at,
        "scope": scope,
        "key": key,
        "entry": canonical_json(stamped),
        "previous": head.hash,
        "hash": hash_,
    }
    connection.execute(
        text(
            "INSERT INTO sync.audit (chain, number, at, scope, key, entry, previous, hash) "
            "VALUES (:chain, :number, :at, :scope, :key, CAST(:entry AS jsonb), :previous, :hash)"
        ),
        row,
    )
    connection.execute(text("UPDATE sync.audit_head SET number = :number, hash = :hash WHERE chain = :chain"), row)


def entries(
    connection: Connection, chain: str, *, key: str | None = None, since: datetime | None = None
) -> Iterator[ChainedEntry]:
    """Yield a chain's entries in order, optionally only those of one record or from a time on."""
    rows = connection.execution_options(yield_per=1000).execute(
        text(
            "SELECT number, previous, hash, entry FROM sync.audit WHERE chain = :chain "
            "AND (CAST(:key AS text) IS NULL OR key = :key) AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) "
            "ORDER BY number"
        ),
        {"chain": chain, "key": key, "since": since},
    )
    for row in rows:
        yield ChainedEntry(row.number, row.previous, row.hash, row.entry)


def chains(connection: Connection) -> list[str]:
    """Return the names of all chains."""
    return list(connection.execute(text("SELECT chain FROM sync.audit_head ORDER BY chain")).scalars())


def verify(connection: Connection, chain: str) -> ChainReport:
    """Recompute every hash of a chain and compare its end with the head kept apart."""
    head = connection.execute(
        text("SELECT number, hash FROM sync.audit_head WHERE chain = :chain"), {"chain": chain}
    ).one_or_none()
    if head is None:
        return ChainReport(0)
    return verify_chain(entries(connection, chain), length=head.number, head=head.hash)
