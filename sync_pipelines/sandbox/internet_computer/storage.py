"""Where the committed bytes of a ledger are kept: in memory, or in a file when there are many."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """Bytes that are appended to, read anywhere, and cut off at the end."""

    def __len__(self) -> int: ...

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        ...

    def read(self, start: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``start`` on."""
        ...

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` bytes."""
        ...


class MemoryStorage:
    """Bytes in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def read(self, start: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``start`` on."""
        return bytes(memoryview(self._data)[start : start + count])

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` bytes."""
        del self._data[length:]


class FileStorage:
    """Bytes in a file, which is begun anew."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        written = 0
        while written < len(data):
            written += os.pwrite(self._file.fileno(), data[written:], self._length + written)
        self._length += len(data)

    def read(self, start: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``start`` on."""
        return os.pread(self._file.fileno(), min(count, max(0, self._length - start)), start)

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` bytes."""
        self._length = min(self._length, length)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
