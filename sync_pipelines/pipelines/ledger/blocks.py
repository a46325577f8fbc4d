"""Cuts the ledger's bytes into checked blocks. Pure; memory is bounded by one block.

A block is a header of 16 bytes (version, jump to the previous block, jump to the next one, reserved; little-endian) and
a zlib stream of its borsh-encoded content: the entries, the time, and the hash of the block before. Only a block whose
header, stream, content and parent hash are right is given out.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sync_pipelines.core.errors import SyncError

HEADER_BYTES: Final = 16
CONTINUITY_BYTES: Final = 16
"""What ``data_fetch`` compares with its own copy, right before the requested position."""

LONGEST_CONTENT: Final = 16 * 1024 * 1024
"""Inflated bytes of a block. The canister commits at 2 MiB of pending entries: eight times that is no block of its."""

LONGEST_BLOCK: Final = HEADER_BYTES + LONGEST_CONTENT + LONGEST_CONTENT // 1000 + 64
"""Bytes of a block with its header: deflate adds five bytes per 16 KiB to what does not compress."""

MOST_ENTRIES: Final = 100_000
"""Entries of a block. The canister commits at 10,000."""

_SHORTEST_ENTRY: Final = 14
_HASH_BYTES: Final = 32

_HEADER = struct.Struct("<IiII")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_TAG_AND_LENGTH = struct.Struct("<BI")


class Fault(StrEnum):
    """Why no block comes after a position."""

    STOP = "stop"
    """The block is damaged, or does not follow the block before."""
    END_OF_CHAIN = "end_of_chain"
    """A header of version 0: the canister writes it behind its last block, where ``data_fetch`` never reaches."""


class BlockError(SyncError):
    """No block can be read at ``position``; every block before it is right.

    Arguments:
        position: ledger position of the block's header, bytes.
        reason: the cause, without the place.
        fault: whether the block is bad or the chain ends here.
    """

    def __init__(self, position: int, reason: str, fault: Fault = Fault.STOP) -> None:
        self.position = position
        self.reason = reason
        self.fault = fault
        super().__init__(str(self))

    def __str__(self) -> str:
        if self.fault is Fault.END_OF_CHAIN:
            return (
                f"The ledger ends at position {self.position}: {self.reason}. Compare `ledger:next_block_start_pos` of "
                "the canister's metadata: if it promises more, the canister's storage is damaged; tell its operators."
            )
        return (
            f"The block at position {self.position} is not read: {self.reason}. Nothing of it is stored. Import again, "
            "another node may hold a sound copy; if it stays so, run `sync-pipelines ledger verify`, and "
            "`sync-pipelines ledger resync` when the canister was reinstalled or its ledger rewritten."
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation of a block; ``deleted`` with an empty value, else an upsert."""

    label: str
    key: bytes
    value: bytes
    deleted: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A block whose checks all passed.

    Attributes:
        offset: ledger position of the header, bytes.
        length: bytes with the header; the next block begins at ``offset + length``.
        timestamp_ns: nanoseconds since 1970 UTC.
        parent_hash: hash of the block before, empty for the first one.
        hash: SHA-256 of the parent hash, the entries and the time.
        entries: in the stored order. They are grouped by label: the order of labels is not that of time.
    """

    offset: int
    length: int
    timestamp_ns: int
    parent_hash: bytes
    hash: bytes
    entries: tuple[Entry, ...]


class BlockCutter:
    """Takes the ledger's bytes in pieces of any size and gives out the blocks they complete.

    Arguments:
        position: ledger position of the first byte that will be fed; a block begins there.
        parent_hash: hash of the block before, empty at the start of the chain.
        previous_length: length of the block before, ``None`` at the start of the chain.
        bytes_before: the 16 bytes before ``position``, where they are known.
    """

    def __init__(
        self, position: int, parent_hash: bytes, previous_length: int | None, *, bytes_before: bytes = b""
    ) -> None:
        self.position = position
        """Start of the first block that was not given out yet."""
        self.parent_hash = parent_hash
        self.previous_length = previous_length
        self.bytes_before = bytes_before
        """The 16 bytes before ``position``; empty as long as they are not known."""
        self._buffer = bytearray()
        self._start = 0
        self._failed: BlockError | None = None

    @property
    def buffered(self) -> int:
        """Bytes at hand that make no complete block yet."""
        return len(self._buffer) - self._start

    @property
    def fetch_position(self) -> int:
        """Ledger position of the next byte to be fed."""
        return self.position + self.buffered

    @property
    def fetch_bytes_before(self) -> bytes:
        """The 16 bytes before ``fetch_position``; shorter when not that many are known."""
        tail = bytes(self._buffer[max(self._start, len(self._buffer) - CONTINUITY_BYTES) :])
        return (self.bytes_before + tail)[-CONTINUITY_BYTES:]

    @property
    def announced(self) -> int | None:
        """Length of the block that is not complete, in bytes; ``None`` as long as its header is not either."""
        if self.buffered < HEADER_BYTES:
            return None
        length: int = _HEADER.unpack_from(self._buffer, self._start)[2]
        return length

    def feed(self, data: bytes) -> Iterator[Block]:
        """Take the next bytes and return every block that is complete now, each as it is asked for.

        A block that is not complete is waited for, however long it claims to be; it is given up once more bytes are at
        hand than a block can have.

        Raises:
            BlockError: at the first block that is not right. It is raised again whatever is fed after that.
        """
        if self._failed is None:
            if self._start:
                del self._buffer[: self._start]
                self._start = 0
            self._buffer += data
        return self._blocks()

    def _blocks(self) -> Iterator[Block]:
        while self._failed is None:
            try:
                block = self._next()
            except BlockError as error:
                self._failed = error
                self._buffer.clear()
                self._start = 0
                break
            if block is None:
                return
            yield block
        if self._failed is not None:
            raise self._failed

    def _next(self) -> Block | None:
        available = len(self._buffer) - self._start
        if available < HEADER_BYTES:
            return None
        length = self._length_of_next()
        if available < min(length, LONGEST_BLOCK + 1):
            return None
        if length > LONGEST_BLOCK:
            raise BlockError(self.position, f"it claims {length} bytes; no block is longer than {LONGEST_BLOCK}")
        end = self._start + length
        content = _inflated(self._buffer[self._start + HEADER_BYTES : end], self.position)
        block = _block(content, self.position, length, self.parent_hash)
        self.bytes_before = bytes(self._buffer[end - CONTINUITY_BYTES : end])
        self.position += length
        self.parent_hash = block.hash
        self.previous_length = length
        self._start = end
        return block

    def _length_of_next(self) -> int:
        version, jump_previous, length, _ = _HEADER.unpack_from(self._buffer, self._start)
        if version == 0:
            raise BlockError(self.position, "its header has version 0", Fault.END_OF_CHAIN)
        if version != 1:
            raise BlockError(self.position, f"its header has version {version}, only 1 is known")
        if length <= HEADER_BYTES:
            raise BlockError(self.position, f"its header claims a length of {length} bytes, no more than the header")
        # The canister's source writes 0 into the first block; its description says "minus the position".
        expected = (-self.position, 0) if self.previous_length is None else (-self.previous_length,)
        if jump_previous not in expected:
            raise BlockError(
                self.position, f"its header places the block before at {jump_previous} bytes, it is at {expected[0]}"
            )
        return int(length)


def chain_hash(parent_hash: bytes, entries: Iterable[Entry], timestamp_ns: int) -> bytes:
    """Return the hash of a block with this content, computed anew: 32 bytes."""
    parts = [parent_hash]
    for entry in entries:
        label = entry.label.encode()
        parts += (
            _TAG_AND_LENGTH.pack(0, len(label)),
            label,
            _U32.pack(len(entry.key)),
            entry.key,
            _U32.pack(len(entry.value)),
            entry.value,
            b"\x01" if entry.deleted else b"\x00",
        )
    parts.append(_U64.pack(timestamp_ns))
    return hashlib.sha256(b"".join(parts)).digest()


def _inflated(body: bytearray, position: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(body, LONGEST_CONTENT + 1)
    except zlib.error as error:
        raise BlockError(position, f"its body is no sound zlib stream ({error})") from None
    if len(content) > LONGEST_CONTENT:
        raise BlockError(position, f"its body inflates to more than {LONGEST_CONTENT} bytes")
    if not stream.eof:
        raise BlockError(position, "its zlib stream is cut off")
    if stream.unused_data:
        raise BlockError(position, f"{len(stream.unused_data)} bytes follow its zlib stream")
    return content


def _block(content: bytes, position: int, length: int, expected_parent: bytes) -> Block:
    try:
        entries, end = _entries(content)
        (timestamp_ns,) = _U64.unpack_from(content, end)
        (parent_length,) = _U32.unpack_from(content, end + 8)
    except (struct.error, IndexError):
        raise BlockError(position, "its content ends within a field") from None
    except _Malformed as error:
        raise BlockError(position, str(error)) from None
    parent_start = end + 12
    surplus = len(content) - parent_start - parent_length
    if surplus < 0:
        raise BlockError(position, "its content ends within the parent hash")
    if surplus:
        raise BlockError(position, f"{surplus} bytes follow its parent hash")
    if parent_length > _HASH_BYTES:
        raise BlockError(position, f"its parent hash has {parent_length} bytes")
    parent_hash = content[parent_start:]
    if parent_hash != expected_parent:
        found, expected = parent_hash.hex() or "empty", expected_parent.hex() or "empty"
        raise BlockError(position, f"its parent hash is {found}, expected from the block before: {expected}")
    # What is hashed stands in the content as one piece: the entries as they are encoded, then the time.
    digest = hashlib.sha256(parent_hash)
    digest.update(memoryview(content)[4 : end + 8])
    return Block(position, length, timestamp_ns, parent_hash, digest.digest(), entries)


class _Malformed(Exception):
    pass


def _entries(content: bytes) -> tuple[tuple[Entry, ...], int]:
    """Return the entries and where they end.

    Slices never check a length, as each is followed by a read at its end: that fails when the length was too large.
    """
    tag_and_length, u32 = _TAG_AND_LENGTH.unpack_from, _U32.unpack_from
    (count,) = u32(content, 0)
    if count > MOST_ENTRIES or count * _SHORTEST_ENTRY > len(content):
        raise _Malformed(f"it claims {count} entries in {len(content)} bytes")
    entries = []
    at = 4
    label_bytes, label = b"", ""
    for _ in range(count):
        tag, size = tag_and_length(content, at)
        if tag:
            raise _Malformed(f"an entry has the unknown version {tag}")
        start = at + 5
        end = start + size
        this = content[start:end]
        (size,) = u32(content, end)
        if this != label_bytes:
            label_bytes, label = this, _text(this)
        start = end + 4
        end = start + size
        key = content[start:end]
        (size,) = u32(content, end)
        start = end + 4
        end = start + size
        operation = content[end]
        if operation > 1:
            raise _Malformed(f"an entry has the unknown operation {operation}")
        entries.append(Entry(label, key, content[start:end], operation == 1))
        at = end + 1
    if len({(entry.label, entry.key) for entry in entries}) < count:
        raise _Malformed("two of its entries have the same label and key")
    return tuple(entries), at


def _text(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError:
        raise _Malformed("a label is not UTF-8") from None
