"""Blocks of a token's log (ICRC-3) as the import stores them: one entry each, with the block's value as it was read.

Positions count blocks. So the block at a position has the length 1, which no block with a header of bytes can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sync_pipelines.pipelines.ledger.blocks import CONTINUITY_BYTES, Block, BlockError, Entry
from sync_pipelines.pipelines.ledger.borsh import PayloadError, Reader
from sync_pipelines.systems.internet_computer import ChainBroken, Icrc3Block, block_type, candid
from sync_pipelines.systems.internet_computer.values import VALUE, Value, as_map, hash_value, optional, required

LENGTH = 1
"""Of every block of a token's log."""
UNNAMED = "icrc3"
"""Label of a block that says of no kind that it is of."""

Piece = Icrc3Block | ChainBroken
"""What a chunk of a token's log holds: blocks, and behind the last good one why the next is none."""


def encoded(value: Value) -> bytes:
    """Return a generic value as it is stored: a Candid message, whose types any decoder reads from itself."""
    return candid.encode((VALUE,), (value,))


def decoded(stored: bytes) -> Value:
    """Return a stored value.

    Raises:
        PayloadError: that is none.
    """
    try:
        (value,) = candid.decode(stored, (VALUE,))
    except candid.CandidError as error:
        raise PayloadError(f"no generic value: {error}") from None
    found: Value = value
    return found


def hash_of_stored(parent_hash: bytes, content: bytes) -> bytes:
    """Return the hash of a stored block, computed anew; nothing when what is stored is no block behind this parent.

    Arguments:
        content: the block's one entry in the form of the other ledgers.
    """
    try:
        reader = Reader(content)
        reader.variant()
        reader.text()
        reader.blob()
        value = decoded(reader.blob())
        if (optional(as_map(value), "phash", "Blob") or b"") != parent_hash:
            return b""
        return hash_value(value)
    except (PayloadError, ValueError):
        return b""


class TokenCutter:
    """Checks blocks and gives them out; see :class:`~.source.Cutter`.

    Arguments:
        position: index of the first block that will be fed.
        parent_hash: hash of the block before, empty at the start of the log.
        certified: index and hash of the last block as the canister tells them, when it does.
    """

    buffered = 0
    announced = None

    def __init__(self, position: int, parent_hash: bytes, certified: tuple[int, bytes] | None = None) -> None:
        self._certified = certified
        self._given, self._given_hash = position, parent_hash
        self._fed, self._fed_hash = position, parent_hash

    @property
    def bytes_before(self) -> bytes:
        """The last bytes of the hash of the block that was given out last."""
        return self._given_hash[-CONTINUITY_BYTES:]

    @property
    def fetch_position(self) -> int:
        """Index of the block to fetch next."""
        return self._fed

    @property
    def fetch_bytes_before(self) -> bytes:
        """The last bytes of the hash of the block before that."""
        return self._fed_hash[-CONTINUITY_BYTES:]

    def feed(self, data: Sequence[Piece]) -> Iterator[Block]:
        """Take blocks that follow each other and give them out."""
        for piece in data:
            if isinstance(piece, Icrc3Block):
                self._fed, self._fed_hash = piece.index + 1, piece.hash
        return self._blocks(data)

    def _blocks(self, data: Sequence[Piece]) -> Iterator[Block]:
        for piece in data:
            if isinstance(piece, ChainBroken):
                raise BlockError(self._given, piece.message)
            block = _block(piece, self._given_hash)
            if self._certified is not None and block.offset == self._certified[0] and block.hash != self._certified[1]:
                certified = self._certified[1].hex()
                raise BlockError(block.offset, f"its hash is {block.hash.hex()}; the canister tells {certified}")
            self._given, self._given_hash = block.offset + LENGTH, block.hash
            yield block


def _block(read: Icrc3Block, parent_hash: bytes) -> Block:
    try:
        fields = as_map(read.value)
        parent = optional(fields, "phash", "Blob") or b""
        timestamp = required(fields, "ts", "Nat", "Int")
    except ValueError as error:
        raise BlockError(read.index, str(error)) from None
    if parent != parent_hash:
        found, expected = parent.hex() or "empty", parent_hash.hex() or "empty"
        raise BlockError(read.index, f"its parent hash is {found:.64}, expected from the block before: {expected}")
    if timestamp < 0:
        raise BlockError(read.index, f"its time is {timestamp}")
    try:
        label = block_type(fields)
    except ValueError:
        label = UNNAMED
    entry = Entry(label, read.index.to_bytes(8, "big"), encoded(read.value), False)
    return Block(read.index, LENGTH, timestamp, parent, read.hash, (entry,))
