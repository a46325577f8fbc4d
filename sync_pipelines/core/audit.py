"""The audit log's hash chain: every entry's hash covers the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.canonical import canonical_json

GENESIS = "0" * 64
"""Previous hash of the first entry of a chain."""


def chain_hash(previous: str, entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry (64 hex digits): SHA-256 over the previous hash and the entry's canonical JSON."""
    return hashlib.sha256(f"{previous}\n{canonical_json(entry)}".encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """One stored entry: its place in the chain, both hashes, and what it says."""

    number: int
    previous: str
    hash: str
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Result of walking a chain: how many entries are good, and the first that is not."""

    entries: int
    broken_at: int | None = None
    reason: str | None = None

    @property
    def intact(self) -> bool:
        """True when every entry fits."""
        return self.broken_at is None


def verify_chain(
    entries: Iterable[ChainedEntry], *, length: int, head: str, first: int = 1, anchor: str | None = None
) -> ChainReport:
    """Walk a chain and recompute every hash.

    Arguments:
        entries: the stored entries in order.
        length: number of the last entry, as kept apart from the entries; a shorter walk means a cut tail.
        head: hash of the last entry, as kept apart.
        first: number of the first stored entry (more than 1 after older ones were archived).
        anchor: hash of the last archived entry, as kept apart; ``None`` when it is not known.
    """
    previous: str | None = GENESIS if first == 1 else anchor
    expected = first
    for item in entries:
        if item.number != expected:
            return ChainReport(expected - first, expected, f"entry {expected} is missing")
        if previous is not None and item.previous != previous:
            return ChainReport(expected - first, expected, f"entry {expected} does not follow the entry before it")
        if chain_hash(item.previous, item.entry) != item.hash:
            return ChainReport(expected - first, expected, f"entry {expected} was altered")
        previous, expected = item.hash, expected + 1
    if expected - 1 != length:
        return ChainReport(expected - first, expected, f"entries {expected} to {length} are missing at the end")
    if previous is not None and previous != head:
        return ChainReport(expected - first, length, "the last entry is not the one the chain ends with")
    return ChainReport(expected - first)
