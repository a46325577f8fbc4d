"""Where a ledger's blocks come from, as the import sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.ledger.blocks import Block


@dataclass(frozen=True, slots=True)
class Tip:
    """What the canister says of its ledger's end (``metadata``).

    Attributes:
        data_start: ledger position of the first block.
        end: ledger position behind the last committed block.
        blocks: how many blocks are committed.
        hash: hash of the last one; empty when there is none or the canister does not say.
        timestamp_ns: its time, nanoseconds since 1970 UTC.
        unit: what positions count, for people.
    """

    data_start: int
    end: int
    blocks: int
    hash: bytes
    timestamp_ns: int
    unit: str = "bytes"

    def may_be(self, block_hash: bytes) -> bool:
        """Say whether the last block may have this hash: it has, or the canister names none (nothing, or zeros)."""
        return not self.hash.strip(b"\0") or self.hash == block_hash


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the ledger.

    Attributes:
        position: ledger position of its beginning.
        data: what the source's cutter takes, by and large bytes; empty when the position is the ledger's end.
    """

    position: int
    data: Any


class PastTheEnd(SyncError):
    """The node's ledger ends before the position: it lags, or the chain was cut."""


class OtherHistory(SyncError):
    """The 16 bytes before the position are not those of the node's ledger."""


class Cutter(Protocol):
    """Makes checked blocks of a source's chunks; :class:`~.blocks.BlockCutter` is the one for bytes."""

    @property
    def bytes_before(self) -> bytes:
        """The 16 bytes before the first block that was not given out yet."""
        ...

    @property
    def fetch_position(self) -> int:
        """Ledger position to fetch from next."""
        ...

    @property
    def fetch_bytes_before(self) -> bytes:
        """The 16 bytes before it; shorter when not that many are known."""
        ...

    @property
    def buffered(self) -> int:
        """How much is at hand that makes no complete block yet."""
        ...

    @property
    def announced(self) -> int | None:
        """Length of the block that is not complete; ``None`` when it is not known."""
        ...

    def feed(self, data: Any) -> Iterator[Block]:
        """Take a chunk's data and return the blocks that are complete now, each as it is asked for.

        Raises:
            BlockError: at the first block that is not right.
        """
        ...


class BlockSource(Protocol):
    """A canister's ledger."""

    def cutter(self, position: int, parent_hash: bytes, previous_length: int | None, bytes_before: bytes) -> Cutter:
        """Return what cuts the chunks of this source, from a position on.

        Arguments:
            parent_hash, previous_length: of the block before; empty and ``None`` at the start of the chain.
            bytes_before: the 16 bytes before the position, where they are known.
        """
        ...

    async def tip(self) -> Tip:
        """Return where the ledger ends."""
        ...

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        """Return bytes from a position on, as many as the source gives at once.

        Arguments:
            bytes_before: the 16 bytes before the position as they are known here; ``None`` to compare nothing.

        Raises:
            PastTheEnd: the position is behind the ledger's end.
            OtherHistory: the bytes before differ.
        """
        ...
