"""Writes blocks byte by byte, right ones and wrong ones, without the product's own encoder."""

from __future__ import annotations

import hashlib
import zlib


def u32(value: int) -> bytes:
    """Return a number as borsh writes lengths."""
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    """Return a number as borsh writes amounts and times."""
    return value.to_bytes(8, "little")


def sized(data: bytes | str) -> bytes:
    """Return bytes or a text behind their length."""
    raw = data.encode() if isinstance(data, str) else data
    return u32(len(raw)) + raw


def entry(label: str | bytes, key: bytes, value: bytes, operation: int = 0, version: int = 0) -> bytes:
    """Return one entry."""
    return bytes([version]) + sized(label) + sized(key) + sized(value) + bytes([operation])


def content(entries: list[bytes], timestamp_ns: int, parent_hash: bytes) -> bytes:
    """Return what a block holds before it is compressed."""
    return u32(len(entries)) + b"".join(entries) + u64(timestamp_ns) + sized(parent_hash)


def hash_of(entries: list[bytes], timestamp_ns: int, parent_hash: bytes) -> bytes:
    """Return the hash of a block with these entries."""
    return hashlib.sha256(parent_hash + b"".join(entries) + u64(timestamp_ns)).digest()


def framed(body: bytes, jump_previous: int = 0, version: int = 1) -> bytes:
    """Return a body behind a header."""
    return u32(version) + jump_previous.to_bytes(4, "little", signed=True) + u32(16 + len(body)) + u32(0) + body


def block(entries: list[bytes], timestamp_ns: int = 0, parent_hash: bytes = b"", jump_previous: int = 0) -> bytes:
    """Return a whole block."""
    return framed(zlib.compress(content(entries, timestamp_ns, parent_hash)), jump_previous)
