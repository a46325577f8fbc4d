"""A key-value store that remembers its state at every height, like an application's IAVL store."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping


class VersionedStore:
    """Keys and values by height. A value of ``None`` is a removal."""

    def __init__(self) -> None:
        self._history: dict[bytes, list[tuple[int, bytes | None]]] = {}

    def write(self, height: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply the changes of the block at ``height``; heights never go back."""
        for key, value in changes.items():
            self._history.setdefault(key, []).append((height, value))

    def until(self, height: int) -> VersionedStore:
        """Return a store that knows nothing of later heights."""
        earlier = VersionedStore()
        for key, versions in self._history.items():
            earlier._history[key] = [version for version in versions if version[0] <= height]
        return earlier

    def get(self, key: bytes, height: int) -> bytes | None:
        """Return the value of the key as of ``height``, ``None`` when there was none."""
        versions = self._history.get(key, [])
        position = bisect_right(versions, height, key=lambda version: version[0])
        return versions[position - 1][1] if position else None

    def subspace(self, prefix: bytes, height: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs whose key starts with ``prefix`` as of ``height``, in byte order of the keys."""
        for key in sorted(self._history):
            if key.startswith(prefix) and (value := self.get(key, height)) is not None:
                yield key, value


def encode_pairs(pairs: Iterator[tuple[bytes, bytes]]) -> bytes:
    """Return protobuf ``Pairs { repeated Pair pairs = 1 }`` with ``Pair { bytes key = 1; bytes value = 2 }``."""
    return b"".join(_field(1, _field(1, key) + _field(2, value)) for key, value in pairs)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
