"""Proving the stored ledger offline: the chain from the stored rows, the balances from the transfers, the counts.

Reads in one snapshot, so that an import going on at the same time cannot make it lie.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from struct import Struct

from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger import token_blocks
from sync_pipelines.pipelines.ledger.rows import labels_of, projection_of
from sync_pipelines.store.ledger import chain, derivation, positions, reading
from sync_pipelines.store.ledger.chain import StoredBlock
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.ledger.reading import BlockContent
from sync_pipelines.store.outage import outages_in_words

MOST_FINDINGS = 100
"""Findings of one kind that are spelled out; all are counted."""
PROGRESS_SECONDS = 10.0
BLOCKS_AT_ONCE = 20_000
"""Blocks held in memory: some 10 MB, however many there are. A token's log has one for every transaction."""

_U64 = Struct("<Q")
_NOTHING = BlockContent(-1, 0, b"")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit.

    Attributes:
        kind: ``hash``, ``parent``, ``gap``, ``entries``, ``position``, ``balance`` or ``count``.
        place: ledger position of the block, or the label or projection concerned.
        message: for a person.
    """

    kind: str
    place: int | str
    message: str


@dataclass
class Verification:
    """What was proven.

    Attributes:
        blocks, entries: how many were walked.
        transfers: transfers whose balances were computed.
        seconds: how long it took.
        counts: findings per kind.
        findings: the first hundred of each kind.
        labels: entries per label as written.
        upserts: those that are no Deletes.
        underived: days with blocks that were not derived yet. As long as there are any, balances and counts are not
            compared.
    """

    blocks: int = 0
    entries: int = 0
    transfers: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    upserts: Counter[str] = field(default_factory=Counter)
    underived: list[date] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True when everything fits."""
        return not self.counts

    @property
    def unknown_labels(self) -> dict[str, int]:
        """Labels that nothing is derived from, with the number of their entries."""
        return {label: count for label, count in self.labels.items() if projection_of(label) is None}

    def note(self, kind: str, place: int | str, message: str) -> None:
        """Note a finding."""
        self.counts[kind] += 1
        if self.counts[kind] <= MOST_FINDINGS:
            self.findings.append(Finding(kind, place, message))


def verify_ledger(engine: Engine, name: str, log: logging.Logger | None = None) -> Verification:
    """Walk the stored ledger of a connection and say what does not fit. Changes nothing, asks no canister.

    The chain is recomputed from the stored entries in their stored order.

    Raises:
        ConfigurationError: nothing was ever imported for the connection.
        DatabaseUnavailable: the database cannot be used.
    """
    began = time.monotonic()
    done = Verification()
    with outages_in_words(engine), engine.connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        position = positions.find(connection, name)
        if position is None:
            raise ConfigurationError(
                f"Nothing was imported for the connection {name} yet. Run `sync-pipelines ledger import` first."
            )
        _walk(connection, position, done, log)
        done.underived = derivation.stale_days(connection, position.canister)
        if not done.underived:
            _compare_balances(connection, position, done)
            _compare_counts(connection, position, done)
        connection.rollback()
    done.seconds = time.monotonic() - began
    return done


def _walk(connection: Connection, position: Position, done: Verification, log: logging.Logger | None) -> None:
    walk = _Walk(connection, position.canister, done, position.data_start)
    told_at = time.monotonic()
    for blocks in chain.pages(connection, position.canister, BLOCKS_AT_ONCE):
        walk.page(blocks)
        if log is not None and time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            log.info("verified %d of %d blocks", done.blocks, position.blocks)
    walk.rest()
    done.labels, done.upserts = reading.entries_per_label(connection, position.canister)
    end = (position.next_position, position.last_hash, position.blocks)
    if (walk.expected_at, walk.parent, done.blocks) != end:
        message = f"the {done.blocks} blocks end at {walk.expected_at}, the position counts {position.blocks}"
        done.note("position", position.next_position or 0, message)


@dataclass
class _Walk:
    """The way through the chain, some blocks at a time.

    Attributes:
        expected_at: ledger position where the next block has to begin.
        parent: hash of the block before it.
        after: ledger position behind which no entries were read yet.
    """

    connection: Connection
    canister: int
    done: Verification
    expected_at: int | None
    parent: bytes = b""
    after: int = -1

    def page(self, blocks: list[StoredBlock]) -> None:
        """Walk over the blocks that follow."""
        through = blocks[-1].block_offset
        contents = reading.block_contents(self.connection, self.canister, self.after, through)
        content = next(contents, _NOTHING)
        for block in blocks:
            while content is not _NOTHING and content.block_offset < block.block_offset:
                self._stray(content)
                content = next(contents, _NOTHING)
            if content.block_offset == block.block_offset:
                self._block(block, content)
                content = next(contents, _NOTHING)
            else:
                self._block(block, _NOTHING)
        self.after = through

    def rest(self) -> None:
        """Note what is stored behind the last block."""
        for content in reading.block_contents(self.connection, self.canister, self.after):
            self._stray(content)

    def _block(self, block: StoredBlock, stored: BlockContent) -> None:
        done = self.done
        if block.block_offset != self.expected_at:
            done.note("gap", block.block_offset, f"the block before ends at {self.expected_at}")
        if block.parent_hash != self.parent:
            done.note(
                "parent", block.block_offset, f"its parent is not the block before, {self.parent.hex() or 'none'}"
            )
        if stored.entries != block.entries:
            done.note("entries", block.block_offset, f"{stored.entries} entries are stored, {block.entries} were read")
        if _hash_of(block, stored.content) != block.hash:
            done.note("hash", block.block_offset, "its entries and time do not give its hash")
        done.blocks += 1
        done.entries += stored.entries
        self.parent, self.expected_at = block.hash, block.end

    def _stray(self, content: BlockContent) -> None:
        self.done.note("entries", content.block_offset, f"{content.entries} entries belong to no block")


def _hash_of(block: StoredBlock, content: bytes) -> bytes:
    if block.length == token_blocks.LENGTH:
        return token_blocks.hash_of_stored(block.parent_hash, content)
    digest = hashlib.sha256(block.parent_hash)
    digest.update(content)
    digest.update(_U64.pack(block.timestamp_ns))
    return digest.digest()


def _compare_balances(connection: Connection, position: Position, done: Verification) -> None:
    balances: dict[str, int] = {}
    for place, sender, receiver, amount, fee, sender_after, receiver_after in reading.transfers(
        connection, position.canister
    ):
        done.transfers += 1
        if sender == receiver and sender is not None:
            # What the ledger says after a transfer to oneself is the balance before one of its two halves.
            balances[sender] = balances.get(sender, 0) - fee
            continue
        if sender is not None:
            balance = balances.get(sender, 0) - amount - fee
            if balance != sender_after:
                _note_balance(done, place, sender, balance, sender_after)
            balances[sender] = sender_after
        if receiver is not None:
            balance = balances.get(receiver, 0) + amount
            if balance != receiver_after:
                _note_balance(done, place, receiver, balance, receiver_after)
            balances[receiver] = receiver_after


def _note_balance(done: Verification, place: int, account: str, balance: int, said: int) -> None:
    # Told once: what follows is compared with what the ledger says.
    done.note("balance", place, f"{account} has {balance} e9s by its transfers, {said} by the ledger")


def _compare_counts(connection: Connection, position: Position, done: Verification) -> None:
    for projection, accounted in reading.accounted_upserts(connection, position.canister).items():
        entries = sum(done.upserts[label] for label in labels_of((projection,)))
        if accounted != entries:
            done.note("count", projection, f"{entries} entries, of which {accounted} have a row or an error")
