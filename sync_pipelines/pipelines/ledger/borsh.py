"""Reads borsh, the encoding of the ledger's payloads: little-endian, lengths as u32, variants as u8. Pure.

Blocks have a decoder of their own, in :mod:`sync_pipelines.pipelines.ledger.blocks`: they are read by the million.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeVar

from sync_pipelines.core.errors import SyncError

_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")

LONGEST_PRINCIPAL: Final = 29
MOST_ITEMS: Final = 100_000
"""Items of one ``vec``. The 2 MiB at which the canister commits a block hold 47,000 changes of reputation."""

T = TypeVar("T")


class PayloadError(SyncError):
    """The bytes are no payload of their kind. ``reason`` says what is wrong and where, never what they hold."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Reader:
    """Reads one value after the other; every read raises :class:`PayloadError` where the bytes do not suffice."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        start = self._at
        piece = self._data[start : start + count]
        if len(piece) < count:
            raise PayloadError(f"need {count} bytes at {start}, have {len(piece)}")
        self._at = start + count
        return piece

    def variant(self, known: int = 1) -> int:
        """Return the tag of an enum with ``known`` variants."""
        tag = self._byte()
        if tag >= known:
            raise PayloadError(f"unknown enum tag {tag}")
        return tag

    def flag(self) -> bool:
        """Return a bool."""
        value = self._byte()
        if value > 1:
            raise PayloadError(f"bool is {value}")
        return value == 1

    def u32(self) -> int:
        """Return an unsigned number of 32 bits."""
        return self._number(_U32)

    def u64(self) -> int:
        """Return an unsigned number of 64 bits."""
        return self._number(_U64)

    def i64(self) -> int:
        """Return a signed number of 64 bits."""
        return self._number(_I64)

    def blob(self) -> bytes:
        """Return a ``vec<u8>``."""
        start = self._at + 4
        size = int.from_bytes(self._data[self._at : start], "little")
        piece = self._data[start : start + size]
        # Payloads are full of these: a length and bytes that are all there are taken in one go.
        if len(piece) == size and start <= len(self._data):
            self._at = start + size
            return piece
        return self.take(self.u32())

    def text(self) -> str:
        """Return a string."""
        try:
            return self.blob().decode()
        except UnicodeDecodeError:
            raise PayloadError("bad utf-8") from None

    def principal(self) -> bytes:
        """Return a ``vec<u8>`` that is a principal: at most 29 bytes, or it has no text."""
        principal = self.blob()
        if len(principal) > LONGEST_PRINCIPAL:
            raise PayloadError(f"principal of {len(principal)} bytes")
        return principal

    def optional(self, read: Callable[[], T]) -> T | None:
        """Return what ``read`` reads, ``None`` where the option is empty."""
        tag = self._byte()
        if tag > 1:
            raise PayloadError(f"unknown option tag {tag}")
        return read() if tag else None

    def several(self, read: Callable[[], T]) -> tuple[T, ...]:
        """Return a ``vec``. ``read`` has to take at least one byte, so that a length out of thin air ends soon."""
        count = self.u32()
        if count > MOST_ITEMS:
            raise PayloadError(f"{count} items")
        return tuple([read() for _ in range(count)])

    def end(self) -> None:
        """Refuse bytes that are left over."""
        left = len(self._data) - self._at
        if left:
            raise PayloadError(f"{left} bytes left over")

    def _byte(self) -> int:
        at = self._at
        if at >= len(self._data):
            raise PayloadError(f"need 1 bytes at {at}, have 0")
        self._at = at + 1
        return self._data[at]

    def _number(self, form: struct.Struct) -> int:
        at = self._at
        end = at + form.size
        if end > len(self._data):
            raise PayloadError(f"need {form.size} bytes at {at}, have {len(self._data) - at}")
        self._at = end
        value: int = form.unpack_from(self._data, at)[0]
        return value
