"""The audit log: append-only, hash-chained, one chain a pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from sync_pipelines.core.audit import GENESIS, ChainedEntry, ChainReport, chain_hash, verify_chain
from sync_pipelines.core.canonical import canonical_json


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be added: what it says, and the scope and record it is found by."""

    entry: Mapping[str, Any]
    scope: str | None = None
    key: str | None = None


def append(
    connection: Connection, chain: str, entry: Mapping[str, Any], *, scope: str | None = None, key: str | None = None
) -> None:
    """Add one entry within the current transaction, as :func:`append_all`."""
    append_all(connection, chain, [NewEntry(entry, scope, key)])


def append_all(connection: Connection, chain: str, entries: Sequence[NewEntry]) -> None:
    """Add entries within the current transaction.

    Their ``timestamp`` (UTC, RFC 3339) is set here. Writers of one chain wait for each other at its head row.
    """
    number, previous = _lock_head(connection, chain)
    rows = []
    for new in entries:
        at = datetime.now(UTC)
        stamped = {"timestamp": at, **new.entry}
        hash_ = chain_hash(previous, stamped)
        number += 1
        rows.append(
            {
                "chain": chain,
                "number": number,
                "at": at,
                "scope": new.scope,
                "key": new.key,
                "entry": canonical_json(stamped),
                "previous": previous,
                "hash": hash_,
            }
        )
        previous = hash_
    if rows:
        connection.execute(
            text(
                "INSERT INTO sync.audit (chain, number, at, scope, key, entry, previous, hash) "
                "VALUES (:chain, :number, :at, :scope, :key, CAST(:entry AS jsonb), :previous, :hash)"
            ),
            rows,
        )
        connection.execute(
            text("UPDATE sync.audit_head SET number = :number, hash = :hash WHERE chain = :chain"), rows[-1]
        )


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
    connection: Connection, chain: str, *, key: str | None = None, since: datetime | None = None
) -> Iterator[ChainedEntry]:
    """Yield a chain's entries in order, optionally only those of one record or from a time on."""
    rows = connection.execute(
        text(
            "SELECT number, previous, hash, entry FROM sync.audit WHERE chain = :chain "
            "AND (CAST(:key AS text) IS NULL OR key = :key) AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) "
            "ORDER BY number"
        ),
        {"chain": chain, "key": key, "since": since},
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
