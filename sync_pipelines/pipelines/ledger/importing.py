"""The import: fetch, cut, check, store. Every batch of blocks is one transaction with the position behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError, SyncError
from sync_pipelines.engine.context import LEASE_SECONDS, holding
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.ledger.blocks import (
    CONTINUITY_BYTES,
    LONGEST_BLOCK,
    Block,
    BlockError,
    Fault,
)
from sync_pipelines.pipelines.ledger.source import BlockSource, Chunk, Cutter, OtherHistory, PastTheEnd, Tip
from sync_pipelines.pipelines.ledger.tip_judgement import Look, NoteFailure, NoteUnanswered, judged, lagging
from sync_pipelines.store.fenced import FencedWriter
from sync_pipelines.store.ledger import positions
from sync_pipelines.store.ledger.batches import LATEST_TIMESTAMP, BlockBatch, analyze
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.ledger.seen_keys import SeenKeys

BATCH_SIZE = 20_000
"""Entries of a batch, at least; a batch ends with a block."""
BATCH_BYTES = 32 * 1024 * 1024
"""A batch is stored once it takes that much, so that memory does not depend on what a ledger holds."""
LARGEST = 2**63 - 1
"""PostgreSQL has no larger integer."""
LAG_SECONDS = 900.0
"""For so long a chain that is shorter than ours may be a node that lags: blocks are committed every ten minutes."""
PROGRESS_SECONDS = 10.0

_label_of = attrgetter("label")


class Ending(StrEnum):
    """Why an import came to its end."""

    CAUGHT_UP = "caught_up"
    """Everything that is committed is stored."""
    INCOMPLETE = "incomplete"
    """The last bytes are no whole block yet; more may come."""
    LAGGING = "lagging"
    """The node that answered does not know all that is stored, or all that was promised. Nothing is wrong."""
    DAMAGED = "damaged"
    """A block is not right. Everything before it is stored, nothing of it."""
    END_OF_CHAIN = "end_of_chain"
    """A header says that the chain ends, but the metadata promised more."""


class Diverged(SyncError):
    """The canister's ledger is not the one stored here: reinstalled, rewritten or cut.

    Arguments:
        canister_id: the canister.
        position: ledger position up to which we have stored.
        reason: what showed it.
    """

    def __init__(self, canister_id: str, position: int, reason: str) -> None:
        self.canister_id = canister_id
        self.position = position
        self.reason = reason
        super().__init__(
            f"The ledger of canister {canister_id} is another one than what is stored here up to position {position}: "
            f"{reason}. Nothing was changed. If the canister was reinstalled or its ledger rewritten on purpose, run "
            "`sync-pipelines ledger resync`: it goes on from the last common block, and keeps the replaced rows apart."
        )


class UnexpectedBytes(SyncError):
    """A node answered with bytes of another position than was asked for, or tells of an end that no ledger has."""


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What an import did.

    Attributes:
        position: up to where the ledger is stored now.
        tip: what the canister said at the beginning.
        ending: why it ended.
        blocks: blocks stored by this import.
        labels: entries stored by this import, per label as written.
        reason: for a person, where it did not catch up; else empty.
    """

    position: Position
    tip: Tip
    ending: Ending
    blocks: int
    labels: Counter[str]
    reason: str = ""

    @property
    def entries(self) -> int:
        """Entries stored by this import."""
        return self.labels.total()

    @property
    def sound(self) -> bool:
        """False when a person has to look."""
        return self.ending not in (Ending.DAMAGED, Ending.END_OF_CHAIN)


Progress = Callable[[Position, Tip], None]


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How an import goes about its work.

    Attributes:
        batch_size: entries that are stored in one transaction, at least.
        lag_seconds: for how long answers of a shorter chain pass for a lagging node.
        lease_seconds: how long a killed import keeps others out.
        progress: called about every ten seconds, and at the end.
    """

    batch_size: int = BATCH_SIZE
    lag_seconds: float = LAG_SECONDS
    lease_seconds: float = LEASE_SECONDS
    progress: Progress | None = None


async def import_ledger(
    engine: Engine,
    source: BlockSource,
    name: str,
    canister_id: str,
    *,
    run_id: str,
    log: logging.Logger,
    settings: ImportSettings | None = None,
) -> ImportOutcome:
    """Store every committed block that is not stored yet.

    Stops before the first block that is not right; that is noted in ``import_errors`` and ``sync_status``. An import
    that is killed at any moment is taken up by the next one where the last transaction ended.

    Arguments:
        engine: the store's database.
        name: the connection's name.
        canister_id: the canister's principal as text.

    Raises:
        Diverged: the canister's chain is not a continuation of ours.
        LeaseHeld: another import of this connection is under way.
        PeerError: the canister cannot be asked.
        ConfigurationError: the connection has imported another canister before.
    """
    settings = settings or ImportSettings()
    held = holding(engine, positions.PAIR, name, run_id, log, lease_seconds=settings.lease_seconds)
    async with held as (_, lease):
        writer = FencedWriter(engine, lease)
        try:
            return await import_under_lease(writer, source, name, canister_id, log, settings)
        except PeerError as error:
            # The error that ends the run says more than one about the attempt to note it.
            with suppress(SyncError):
                await in_thread(writer.transaction, NoteUnanswered(name, str(error)))
            raise
        finally:
            writer.close()


async def import_under_lease(
    writer: FencedWriter,
    source: BlockSource,
    name: str,
    canister_id: str,
    log: logging.Logger,
    settings: ImportSettings,
) -> ImportOutcome:
    """Do the work of :func:`import_ledger` for somebody who holds the lease."""
    tip = await source.tip()
    if max(tip.end, tip.blocks, tip.timestamp_ns) > LARGEST:
        raise UnexpectedBytes(f"The canister tells of an end that no ledger has: {tip}. Nothing was stored; run again.")
    work = Look(name, canister_id, tip)
    position, behind_for, known = await in_thread(writer.transaction, work)
    if not position.blocks:
        position = position.starting_at(tip.data_start)
    assert position.next_position is not None
    if tip.end <= position.next_position or tip.data_start != position.data_start:
        reason = judged(position, tip, behind_for, known=known, lag_seconds=settings.lag_seconds)
        if reason is not None:
            await in_thread(writer.transaction, NoteFailure(position, "diverged", reason))
            raise Diverged(canister_id, position.next_position, reason)
        ending = Ending.CAUGHT_UP if tip.end == position.next_position else Ending.LAGGING
        return ImportOutcome(position, tip, ending, 0, Counter(), lagging(position, tip) if known else "")
    return await _Import(writer, source, position, tip, log, settings).run()


@dataclass
class _Import:
    """One import that has something to fetch."""

    writer: FencedWriter
    source: BlockSource
    position: Position
    tip: Tip
    log: logging.Logger
    settings: ImportSettings
    blocks: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    _writing: asyncio.Task[None] | None = None
    _told_at: float = field(default_factory=time.monotonic)

    async def run(self) -> ImportOutcome:
        self._batch = BlockBatch(self.position, SeenKeys() if not self.position.entries else None)
        self._cutter = self._cutter_at(self.position)
        asked_again_at: int | None = None
        try:
            while True:
                try:
                    ending, reason = await self._read()
                except BlockError as error:
                    await self._store()
                    if asked_again_at != error.position:
                        # One node's copy may be damaged where the next one's is sound.
                        asked_again_at = error.position
                        self._cutter = self._cutter_at(self._batch.before)
                        continue
                    ending, reason = _ending_of(error), error.reason
                except OtherHistory as error:
                    await self._store()
                    here = self._batch.before.next_position
                    if self._cutter.buffered and asked_again_at != here:
                        # What was compared is part of a block that is not proven yet: one node's copy may be damaged.
                        asked_again_at = here
                        self._cutter = self._cutter_at(self._batch.before)
                        continue
                    raise await self._diverged(str(error)) from None
                except SyncError:
                    await self._store_all()
                    raise
                await self._store_all()
                return await self._outcome(ending, reason)
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing])
                if not self._writing.cancelled():
                    self._writing.exception()

    def _cutter_at(self, position: Position) -> Cutter:
        assert position.next_position is not None
        return self.source.cutter(position.next_position, position.last_hash, position.last_length, position.tail)

    async def _read(self) -> tuple[Ending, str]:
        """Read up to the tip, the next chunk being fetched while one is cut."""
        chunk = await self._fetch(self._cutter.fetch_position, self._cutter.fetch_bytes_before)
        while chunk is not None and chunk.data:
            blocks = self._cutter.feed(chunk.data)
            position, before = self._cutter.fetch_position, self._cutter.fetch_bytes_before
            following = None if position >= self.tip.end else asyncio.create_task(self._fetch(position, before))
            try:
                for block in blocks:
                    self._take(block)
                    if self._batch.entries >= self.settings.batch_size or self._batch.size >= BATCH_BYTES:
                        await self._store()
                if following is None:
                    return self._at_tip()
                chunk = await following
            finally:
                if following is not None:
                    await _dropped(following)
        return Ending.LAGGING, f"the node's ledger ends before position {self.tip.end}, which the metadata promised"

    def _at_tip(self) -> tuple[Ending, str]:
        missing = self._cutter.buffered
        # The ledger may have grown since, and the last answer may end within a block behind the tip.
        if not missing or (self._batch.after.next_position or 0) >= self.tip.end:
            return Ending.CAUGHT_UP, ""
        announced = self._cutter.announced
        reason = f"the last {missing} bytes are no whole block"
        if announced is not None:
            reason += f": its header announces {announced} bytes"
            if announced > LONGEST_BLOCK:
                reason += f", and no block has more than {LONGEST_BLOCK}"
        return Ending.INCOMPLETE, reason

    async def _fetch(self, position: int, before: bytes) -> Chunk | None:
        try:
            chunk = await self.source.fetch(position, before if len(before) == CONTINUITY_BYTES else None)
        except PastTheEnd:
            return None
        if chunk.data and chunk.position != position:
            raise UnexpectedBytes(
                f"A node answered with bytes of position {chunk.position}, asked for {position}. Nothing of them was "
                "stored; run again."
            )
        return chunk

    def _take(self, block: Block) -> None:
        if block.timestamp_ns > LATEST_TIMESTAMP:
            raise BlockError(block.offset, f"its time, {block.timestamp_ns} ns, lies after the year 2262")
        self._batch.add(block, self._cutter.bytes_before)
        self.blocks += 1
        self.labels.update(map(_label_of, block.entries))

    async def _store(self) -> None:
        """Hand the batch over to be stored while the next one is read."""
        await self._written()
        if not self._batch:
            return
        batch, self._batch = self._batch, self._batch.following()
        self._writing = asyncio.create_task(in_thread(self.writer.transaction, batch.write))
        self._writing_batch = batch
        if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._tell()

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            try:
                await writing
            except BaseException:
                # Nothing may follow a batch that was not stored, and its error is the one to be told.
                self._batch = BlockBatch(self.position)
                raise
            self.position = self._writing_batch.after

    async def _store_all(self) -> None:
        await self._store()
        await self._written()

    async def _diverged(self, reason: str) -> Diverged:
        await self._store_all()
        await in_thread(self.writer.transaction, NoteFailure(self.position, "diverged", reason))
        return Diverged(self.position.canister_id, self.position.next_position or 0, reason)

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        here, end, start = self._batch.before.next_position or 0, self.tip.end, self.tip.data_start
        share = 100 * (here - start) / max(end - start, 1)
        self.log.info("read up to position %d of %d (%.0f %%), %d blocks", here, end, share, self.blocks)
        if self.settings.progress is not None:
            self.settings.progress(self._batch.before, self.tip)

    async def _outcome(self, ending: Ending, reason: str) -> ImportOutcome:
        entries = self.labels.total()
        await in_thread(self.writer.transaction, lambda connection: analyze(connection, entries))
        if ending in (Ending.DAMAGED, Ending.END_OF_CHAIN):
            await in_thread(self.writer.transaction, NoteFailure(self.position, f"block_{ending.value}", reason))
            self.log.error("stopped before the block at position %d: %s", self.position.next_position, reason)
        elif reason:
            self.log.warning("%s", reason)
        if self.settings.progress is not None:
            self.settings.progress(self.position, self.tip)
        return ImportOutcome(self.position, self.tip, ending, self.blocks, self.labels, reason)


def _ending_of(error: BlockError) -> Ending:
    return Ending.END_OF_CHAIN if error.fault is Fault.END_OF_CHAIN else Ending.DAMAGED


async def _dropped(task: asyncio.Task[Chunk | None]) -> None:
    """End a fetch that nobody waits for any more; what became of it does not matter."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
