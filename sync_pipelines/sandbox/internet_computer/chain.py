"""The committed blocks of a ledger, and the cut that a node sees of them."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from sync_pipelines.sandbox.internet_computer.blocks import (
    DEFAULT_LEVEL,
    HEADER,
    Stored,
    block_bytes,
    chain_hash,
    walk,
)
from sync_pipelines.sandbox.internet_computer.storage import MemoryStorage, Storage

DATA_START = 0x800000
"""Where the canister's DATA partition begins unless it was set up otherwise."""


@dataclass(frozen=True, slots=True)
class Tip:
    """What the canister knows of the end of its chain.

    Attributes:
        blocks: how many there are.
        hash: chain hash of the last one, empty when there is none.
        timestamp_ns: time of the last one, 0 when there is none.
        end: position after the last one.
    """

    blocks: int
    hash: bytes
    timestamp_ns: int
    end: int


class Chain:
    """Blocks in a row.

    Attributes:
        data_start: position of the first byte.
        blocks: where each block is; for bytes that were loaded and are damaged, as far as headers tell.
    """

    def __init__(self, data_start: int = DATA_START, storage: Storage | None = None) -> None:
        self.data_start = data_start
        self.blocks: list[Stored] = []
        self._storage = storage if storage is not None else MemoryStorage()
        self._told: Tip | None = None

    @classmethod
    def loaded(cls, data: bytes, data_start: int = DATA_START, tip: Tip | None = None) -> Chain:
        """Return a chain of given bytes, which may be damaged.

        Arguments:
            tip: what the canister says of it; its ``end`` cuts the bytes. Without it, what the bytes say themselves.
        """
        kept = data if tip is None else data[: tip.end - data_start]
        if tip is None:
            places = list(walk(data, data_start))
            kept = data[: places[-1][0] + places[-1][1] - data_start] if places else b""
        chain = cls(data_start, MemoryStorage(kept))
        chain._told = tip
        parent: bytes | None = b""
        for offset, length in walk(kept, data_start):
            entries, timestamp_ns, parent = _read(kept[offset - data_start :][:length], parent)
            chain.blocks.append(Stored(offset, length, timestamp_ns, parent or b"", entries))
        return chain

    @property
    def end(self) -> int:
        """Position after the last byte."""
        return self.data_start + len(self._storage)

    def tip(self, missing: int = 0) -> Tip:
        """Return the end of the chain, as a node sees it that lacks the last ``missing`` blocks."""
        if self._told is not None and not missing:
            return self._told
        seen = self.blocks[: len(self.blocks) - missing] if missing else self.blocks
        if not seen:
            return Tip(0, b"", 0, self.data_start)
        last = seen[-1]
        return Tip(len(seen), last.hash, last.timestamp_ns, last.end)

    def commit(self, entries: list[bytes], timestamp_ns: int, *, level: int = DEFAULT_LEVEL) -> Stored:
        """Append a block of entries in borsh."""
        tip = self.tip()
        block = block_bytes(entries, timestamp_ns, tip.hash, self.last_length, level=level)
        stored = Stored(self.end, len(block), timestamp_ns, chain_hash(tip.hash, entries, timestamp_ns), len(entries))
        self._storage.append(block)
        self.blocks.append(stored)
        self._told = None
        return stored

    @property
    def last_length(self) -> int:
        """Bytes of the last block, 0 when there is none."""
        return self.blocks[-1].length if self.blocks else 0

    def drop(self, count: int) -> None:
        """Forget the last blocks."""
        kept = self.blocks[: max(0, len(self.blocks) - count)]
        self._storage.truncate((kept[-1].end if kept else self.data_start) - self.data_start)
        self.blocks, self._told = kept, None

    def read(self, start: int, count: int) -> bytes:
        """Return bytes at a position; before the first byte of the chain there are zeros."""
        zeros = max(0, min(count, self.data_start - start))
        return bytes(zeros) + self._storage.read(max(0, start - self.data_start), count - zeros)


def _read(block: bytes, parent: bytes | None) -> tuple[int, int, bytes | None]:
    """Return the number of entries, the time, and the hash of a block; ``None`` from the first damaged one on."""
    try:
        content = zlib.decompress(block[HEADER.size :])
    except zlib.error:
        return 0, 0, None
    if parent is None or len(content) < 16:
        return 0, 0, None
    hashed = content[4 : len(content) - 4 - len(parent)]
    if content[4 + len(hashed) :] != len(parent).to_bytes(4, "little") + parent:
        return 0, 0, None
    return (
        int.from_bytes(content[:4], "little"),
        int.from_bytes(hashed[-8:], "little"),
        hashlib.sha256(parent + hashed).digest(),
    )
