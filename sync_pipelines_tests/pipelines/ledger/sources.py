"""A ledger that is served from memory by the canister's rules, and the small ledger of the fixtures."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.pipelines.ledger.blocks import BlockCutter
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.source import BlockSource, Chunk, OtherHistory, PastTheEnd, Tip
from sync_pipelines_tests.pipelines.ledger import written

DATA = Path(__file__).parent / "data"
START = 0x800000
CANISTER = "ggi4a-wyaaa-aaaai-actqq-cai"
LOG = logging.getLogger("ledger-tests")


@dataclass
class MemorySource:
    """Serves a ledger's bytes.

    Attributes:
        data: the ledger from its first block on.
        chunk: bytes that an answer has at most.
        hash: of the last block, where the metadata is to name it.
        blocks: how many the metadata names.
        requests: what was asked for, in order.
        ends: ledger position where what this node serves ends, if that is before what its metadata says.
    """

    data: bytes
    chunk: int = 1024 * 1024
    hash: bytes = b""
    blocks: int = 0
    requests: list[str] = field(default_factory=list)
    ends: int | None = None

    def cutter(
        self, position: int, parent_hash: bytes, previous_length: int | None, bytes_before: bytes
    ) -> BlockCutter:
        return BlockCutter(position, parent_hash, previous_length, bytes_before=bytes_before)

    async def tip(self) -> Tip:
        self.requests.append("tip")
        return Tip(START, START + len(self.data), self.blocks, self.hash, 0)

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        self.requests.append(f"fetch {position}")
        start, end = position - START, (self.ends or START + len(self.data)) - START
        if start > end:
            raise PastTheEnd("Provided position start is after the end of the ledger")
        # As the canister does: nothing is compared where nothing is left to read.
        if start < end and bytes_before is not None and self.data[start - 16 : start] != bytes_before:
            raise OtherHistory(f"16 bytes before position {position} does not match")
        return Chunk(position, self.data[start : min(end, start + self.chunk)])


@cache
def expected() -> dict[str, Any]:
    """What ``small.ledger`` holds, decoded."""
    content: dict[str, Any] = json.loads((DATA / "small.expected.json").read_text(encoding="utf-8"))
    return content


def small_ledger(blocks: int | None = None) -> bytes:
    """The small ledger's blocks without the zeros behind them, or only the first ones."""
    data = (DATA / "small.ledger").read_bytes()
    end = expected()["position"]["next_position"] if blocks is None else expected()["blocks"][blocks]["offset"]
    return data[: end - START]


def small_source(blocks: int | None = None, chunk: int = 1024 * 1024) -> MemorySource:
    """The small ledger, or its first blocks, served from memory."""
    data = small_ledger(blocks)
    listed = expected()["blocks"][:blocks]
    return MemorySource(data, chunk, bytes.fromhex(listed[-1]["hash"]), len(listed))


@dataclass
class Writer:
    """Writes a ledger of one's own, block by block.

    Attributes:
        data: its bytes so far.
        hash: of the last block.
        blocks: how many there are.
        length: of the last one, in bytes.
    """

    data: bytes = b""
    hash: bytes = b""
    blocks: int = 0
    length: int = 0

    @classmethod
    def after_small(cls, blocks: int) -> Writer:
        """Begin with the first blocks of the small ledger."""
        if not blocks:
            return cls()
        last = expected()["blocks"][blocks - 1]
        return cls(small_ledger(blocks), bytes.fromhex(last["hash"]), blocks, last["length"])

    def add(self, entries: list[bytes], timestamp_ns: int) -> int:
        """Append a block of entries as :mod:`.written` encodes them, and return its ledger position."""
        position = START + len(self.data)
        block = written.block(entries, timestamp_ns, self.hash, -self.length)
        self.hash = written.hash_of(entries, timestamp_ns, self.hash)
        self.data += block
        self.blocks += 1
        self.length = len(block)
        return position

    def source(self, chunk: int = 1024 * 1024) -> MemorySource:
        """Return what serves it."""
        return MemorySource(self.data, chunk, self.hash, self.blocks)


async def imported(
    engine: Engine, source: BlockSource, *, name: str = "main", settings: ImportSettings | None = None
) -> ImportOutcome:
    """Import as a run would."""
    return await import_ledger(engine, source, name, CANISTER, run_id="a test", log=LOG, settings=settings)
