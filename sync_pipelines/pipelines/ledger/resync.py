"""Going on after the canister's ledger was rewritten: from the last common block, and only when asked to.

What is replaced is kept apart (``ledger_superseded_blocks``, ``ledger_superseded_entries``) with the generation it
belonged to. The tables derived from it are brought back to what follows from the blocks that stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.engine.context import holding
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.ledger import projecting
from sync_pipelines.pipelines.ledger.blocks import BlockError
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_under_lease
from sync_pipelines.pipelines.ledger.source import BlockSource, OtherHistory, PastTheEnd, Tip
from sync_pipelines.pipelines.ledger.tip_judgement import Look, lagging
from sync_pipelines.store import audit
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.ledger import chain, derivation, errors, positions, statuses
from sync_pipelines.store.ledger.batches import TABLE
from sync_pipelines.store.ledger.chain import StoredBlock
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.outage import outages_in_words

T = TypeVar("T")


class NodeBehind(SyncError):
    """A node's ledger ends before the tip that another one told: what it lacks says nothing."""


@dataclass(frozen=True, slots=True)
class ResyncOutcome:
    """What a resync did.

    Attributes:
        kept: blocks that both have in common; they stay.
        superseded_blocks, superseded_entries: what was taken out of the chain and kept apart.
        generation: of the chain from now on; unchanged when nothing had to be taken out.
        imported: the import that followed.
    """

    kept: int
    superseded_blocks: int
    superseded_entries: int
    generation: int
    imported: ImportOutcome


async def resync_ledger(
    engine: Engine,
    source: BlockSource,
    name: str,
    canister_id: str,
    *,
    run_id: str,
    log: logging.Logger,
    settings: ImportSettings | None = None,
    by: str = "",
) -> ResyncOutcome:
    """Find the last common block, take what follows it out of the chain, and import from there.

    Safe to run when nothing has diverged: then it is an import. A chain that only ends before ours passes for that of a
    node that lags, as in an import: it takes nothing out before it has been so for ``settings.lag_seconds``.

    Arguments:
        by: who asked for it, for the audit log, which is written in the transaction that takes the blocks out.

    Raises:
        NodeBehind: the nodes that answer do not agree on how long the ledger is.
        LeaseHeld: an import of this connection is under way.
        PeerError: the canister cannot be asked.
        ConfigurationError: the connection has imported another canister before.
    """
    settings = settings or ImportSettings()
    held = holding(engine, positions.PAIR, name, run_id, log, lease_seconds=settings.lease_seconds)
    async with held as (_, lease):
        writer = FencedWriter(engine, lease)
        try:
            tip = await source.tip()
            position, behind_for, _ = await in_thread(writer.transaction, Look(name, canister_id, tip))
            search = _Search(writer, source, position, tip)
            kept = await search.last_common()
            log.info("%d of %d blocks are common", kept, position.blocks)
            if behind_for <= settings.lag_seconds and await search.is_prefix(kept):
                # Every block it tells of is ours: what we have beyond may be news that this node lacks.
                log.warning("%s", lagging(position, tip))
                kept = position.blocks
            blocks = entries = 0
            if kept < position.blocks:
                cut = _Cut(name, position, tip, kept, {"run_id": run_id, "by": by})
                blocks, entries = await in_thread(writer.transaction, cut)
            imported = await import_under_lease(writer, source, name, canister_id, log, settings)
        finally:
            writer.close()
    return ResyncOutcome(kept, blocks, entries, imported.position.generation, imported)


@dataclass(frozen=True, slots=True)
class ResyncPlan:
    """What a resync would do.

    Attributes:
        kept: blocks that both have in common; they stay.
        superseded_blocks, superseded_entries: what would be taken out of the chain and kept apart.
        from_position, to_position: what would be imported then.
        shorter: whether the canister tells only of blocks that are stored here, and of fewer.
    """

    kept: int
    superseded_blocks: int
    superseded_entries: int
    from_position: int
    to_position: int
    shorter: bool = False

    def __str__(self) -> str:
        common = f"{self.kept} blocks are common"
        if not self.superseded_blocks:
            return f"{common}: nothing has to be replaced."
        if self.shorter:
            common += (
                ", all that the canister tells of: the node that answered may lag. If every answer has ended there for "
                "a quarter of an hour, this is what would be done"
            )
        return (
            f"{common}; {self.superseded_blocks} blocks with {self.superseded_entries} entries would be taken out and "
            f"kept apart, and positions {self.from_position} to {self.to_position} imported."
        )


async def plan_resync(engine: Engine, source: BlockSource, name: str) -> ResyncPlan:
    """Say what :func:`resync_ledger` would do. Changes nothing.

    Raises:
        PeerError: the canister cannot be asked.
        ConfigurationError: nothing was ever imported for the connection.
    """
    reading = _Reading(engine)
    position = await in_thread(reading.transaction, lambda connection: positions.find(connection, name))
    if position is None:
        raise ConfigurationError(
            f"Nothing was imported for the connection {name} yet. Run `sync-pipelines ledger import` first."
        )
    known, tip = position, await source.tip()
    search = _Search(reading, source, known, tip)
    kept = await search.last_common()
    start, gone = known.next_position or tip.data_start, 0
    if kept < known.blocks:
        first_gone = await in_thread(
            reading.transaction, lambda connection: chain.block_number(connection, known.canister, kept)
        )
        start = first_gone.block_offset if kept else tip.data_start
        gone = await in_thread(
            reading.transaction,
            lambda connection: chain.entries_from(connection, known.canister, first_gone.block_offset),
        )
    shorter = await search.is_prefix(kept)
    return ResyncPlan(kept, known.blocks - kept, gone, start, tip.end, shorter)


class _Transactions(Protocol):
    """Does work within a transaction."""

    def transaction(self, work: Callable[[Connection], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """Transactions that need no lease, because nothing is written in them."""

    engine: Engine

    def transaction(self, work: Callable[[Connection], T]) -> T:
        with outages_in_words(self.engine), self.engine.connect() as connection:
            return work(connection)


@dataclass(frozen=True, slots=True)
class _Search:
    """Looks for the last block that the canister has as well."""

    writer: _Transactions
    source: BlockSource
    position: Position
    tip: Tip

    async def last_common(self) -> int:
        """Return how many blocks are common, counted from the beginning of the chain."""
        if self.position.data_start != self.tip.data_start:
            return 0
        # The bytes before a position tell only where something follows it, so the tip is asked by its hash alone.
        low, high = 0, self.position.blocks
        while low < high:
            middle = (low + high + 1) // 2
            if await self._may_have(middle):
                low = middle
            else:
                high = middle - 1
        while low and not await self._has(low):
            low -= 1
        return low

    async def _may_have(self, count: int) -> bool:
        """Whether the bytes before the end of the block number ``count`` (from 1) are the canister's too."""
        block = await self._block(count - 1)
        if block.end > self.tip.end:
            return False
        if block.end == self.tip.end:
            return self.tip.may_be(block.hash)
        try:
            chunk = await self.source.fetch(block.end, block.tail)
        except OtherHistory:
            return False
        except PastTheEnd:
            raise self._behind(block.end) from None
        if not chunk.data:
            # At the end of what a node has the bytes before are compared with nothing.
            raise self._behind(block.end)
        return True

    async def is_prefix(self, kept: int) -> bool:
        """Whether the canister's ledger ends where our block number ``kept`` (from 1) does."""
        return 0 < kept < self.position.blocks and (await self._block(kept - 1)).end == self.tip.end

    async def _has(self, count: int) -> bool:
        """Whether the canister's block number ``count`` (from 1) has our hash: 16 bytes alone prove nothing.

        Asked twice before it has not: one node's copy may be damaged where the next one's is sound.
        """
        return await self._answers(count) or await self._answers(count)

    async def _answers(self, count: int) -> bool:
        block = await self._block(count - 1)
        before = await self._block(count - 2) if count > 1 else None
        length = None if before is None else before.length
        cutter = self.source.cutter(block.block_offset, block.parent_hash, length, b"")
        try:
            while cutter.fetch_position < block.end:
                chunk = await self.source.fetch(cutter.fetch_position, None)
                for found in cutter.feed(chunk.data):
                    return found.hash == block.hash
                if not chunk.data:
                    raise self._behind(cutter.fetch_position)
        except PastTheEnd:
            raise self._behind(cutter.fetch_position) from None
        except BlockError:
            return False
        return False

    def _behind(self, position: int) -> NodeBehind:
        return NodeBehind(
            f"A node answered that the ledger ends at position {position} or before, its metadata that it ends at "
            f"{self.tip.end}: it lags. Nothing was changed; run again."
        )

    async def _block(self, number: int) -> StoredBlock:
        canister = self.position.canister
        return await self._ask(lambda connection: chain.block_number(connection, canister, number))

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await in_thread(self.writer.transaction, question)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Takes the blocks behind the common ones out, and brings the derived tables along, in one transaction."""

    name: str
    position: Position
    tip: Tip
    kept: int
    who: Mapping[str, Any]

    def __call__(self, connection: Connection) -> tuple[int, int]:
        before = self.position
        last = chain.block_number(connection, before.canister, self.kept - 1) if self.kept else None
        start = self.tip.data_start if last is None else last.end
        first_gone = 0 if last is None else start
        chosen = derivation.choose_days_from(connection, before.canister, first_gone)
        assert chosen is not None
        counts = derivation.state_counts(connection, before.canister, projecting.ALL)
        derivation.touch(connection, chosen, projecting.ALL)
        removed = derivation.remove(connection, chosen, projecting.ALL)
        blocks, entries = chain.supersede(connection, before.canister, first_gone, before.generation)
        left = derivation.leave_out_from(connection, chosen, first_gone)
        projecting.derive_chosen(connection, left, projecting.ALL, removed, counts)
        after = self._after(last, start, entries)
        positions.move(connection, before, after)
        errors.clear_blocks(connection, before.canister)
        statuses.rewind(connection, before.canister, TABLE, after.last_block_offset or 0, after.entries)
        self._note(connection, blocks, entries)
        return blocks, entries

    def _note(self, connection: Connection, blocks: int, entries: int) -> None:
        entry = {
            "action": "ledger_resync",
            "success": True,
            **self.who,
            "common_blocks": self.kept,
            "superseded_blocks": blocks,
            "superseded_entries": entries,
            "generation": self.position.generation + 1,
        }
        audit.append(connection, positions.PAIR, entry, scope=self.name)

    def _after(self, last: StoredBlock | None, start: int, entries: int) -> Position:
        return replace(
            self.position,
            data_start=self.tip.data_start,
            next_position=start,
            last_block_offset=None if last is None else last.block_offset,
            last_length=None if last is None else last.length,
            last_hash=b"" if last is None else last.hash,
            last_timestamp=None if last is None else last.timestamp_ns,
            tail=b"" if last is None else last.tail,
            blocks=self.kept,
            entries=self.position.entries - entries,
            generation=self.position.generation + 1,
        )
