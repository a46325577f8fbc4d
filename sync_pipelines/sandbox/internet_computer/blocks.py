"""The ledger's bytes: entries in borsh, blocks of entries in zlib behind a header, and the hash that chains them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEADER = struct.Struct("<IiII")
VERSION = 1
DEFAULT_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Stored:
    """A block of the chain.

    Attributes:
        offset: position of its header in the ledger.
        length: bytes of header and body.
        timestamp_ns: when it was committed.
        hash: chain hash, 32 bytes.
        entries: how many it has.
    """

    offset: int
    length: int
    timestamp_ns: int
    hash: bytes
    entries: int

    @property
    def end(self) -> int:
        """Position after the block."""
        return self.offset + self.length


def sized(data: bytes) -> bytes:
    """Return bytes with their length before them, as borsh writes vectors and strings."""
    return len(data).to_bytes(4, "little") + data


def text(value: str) -> bytes:
    """Return a borsh string."""
    return sized(value.encode())


def u64(value: int) -> bytes:
    """Return an unsigned 64-bit integer."""
    return value.to_bytes(8, "little")


def entry_bytes(label: str, key: bytes, value: bytes, *, deleted: bool = False) -> bytes:
    """Return an entry in borsh; that of a Delete has an empty value."""
    return b"\x00" + text(label) + sized(key) + sized(b"" if deleted else value) + (b"\x01" if deleted else b"\x00")


def chain_hash(parent_hash: bytes, entries: Iterable[bytes], timestamp_ns: int) -> bytes:
    """Return the hash of a block: its parent's hash, its entries in borsh and its time, uncompressed."""
    digest = hashlib.sha256(parent_hash)
    for entry in entries:
        digest.update(entry)
    digest.update(u64(timestamp_ns))
    return digest.digest()


def block_bytes(
    entries: list[bytes], timestamp_ns: int, parent_hash: bytes, previous_length: int, *, level: int = DEFAULT_LEVEL
) -> bytes:
    """Return header and body of a block.

    Arguments:
        entries: each in borsh.
        parent_hash: that of the block before, empty for the first one.
        previous_length: bytes of the block before; 0 for the first one, whose header tells a jump of 0.
        level: of zlib; the canister uses the default.
    """
    content = b"".join([len(entries).to_bytes(4, "little"), *entries, u64(timestamp_ns), sized(parent_hash)])
    body = zlib.compress(content, level)
    return HEADER.pack(VERSION, -previous_length, HEADER.size + len(body), 0) + body


def walk(data: bytes | memoryview, data_start: int) -> Iterator[tuple[int, int]]:
    """Yield position and length of each block as its header tells, until a header that is none."""
    at = 0
    while at + HEADER.size <= len(data):
        version, _, length, _ = HEADER.unpack_from(data, at)
        if version != VERSION or length <= HEADER.size or at + length > len(data):
            return
        yield data_start + at, length
        at += length
