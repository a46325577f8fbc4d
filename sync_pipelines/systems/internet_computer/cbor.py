"""Reading the part of CBOR that the Internet Computer uses, and nothing else.

A reader of our own, because a general one is too generous with bytes of strangers: cbor2 turns 20 tags into regular
expressions, MIME messages or cyclic lists, takes bytes after the end, has no bound on the number of items (3 MiB of
empty lists take 250 MB), and gives other types inside a tag than outside. Writing is left to cbor2.
"""

from __future__ import annotations

from typing import Any, Final

SELF_DESCRIBED: Final = 55799
"""The tag that says of a document that it is CBOR. The only one taken, anywhere."""
MAX_ITEMS = 200_000
MAX_DEPTH = 128
"""Certificates nest deeply: a path through a million canisters has some fifty levels."""

_BREAK: Final = object()
_INDEFINITE: Final = 31


class CborError(ValueError):
    """Bytes that are not CBOR, or not of the kind that is used here."""


def decode(data: bytes, *, max_items: int = MAX_ITEMS) -> Any:
    """Return the one value in ``data``: int, bytes, str, bool, None, list, or dict with keys of text or bytes.

    Arguments:
        max_items: values that may be in it, those in containers included.

    Raises:
        CborError: cut, followed by more bytes, too deep, too many items, an unknown tag, a float, a key twice.
    """
    reader = _Reader(data, max_items)
    value = reader.value(0)
    if value is _BREAK:
        raise CborError("a break outside of a container")
    if reader.at != len(data):
        raise CborError(f"{len(data) - reader.at} bytes after the end")
    return value


class _Reader:
    def __init__(self, data: bytes, max_items: int) -> None:
        self.data = data
        self.at = 0
        self.left = max_items

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise CborError(f"cut: {count} bytes at {self.at}, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def argument(self, info: int) -> int | None:
        """Return the length or number that follows; ``None`` for a length that is told by a break."""
        if info < 24:
            return info
        if info < 28:
            return int.from_bytes(self.take(1 << (info - 24)), "big")
        if info == _INDEFINITE:
            return None
        raise CborError(f"reserved length {info} at {self.at - 1}")

    def value(self, depth: int) -> Any:
        """Return the next value, or the break that ends a container."""
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise CborError("too many values" if self.left < 0 else "nested too deeply")
        major, info = divmod(self.take(1)[0], 32)
        if major == 7:
            return self.simple(info)
        argument = self.argument(info)
        match major:
            case 0 | 1 if argument is not None:
                return argument if major == 0 else -1 - argument
            case 2 | 3:
                return self.string(major, argument, depth)
            case 4:
                return list(self.items(argument, depth))
            case 5:
                return self.map(argument, depth)
            case 6 if argument == SELF_DESCRIBED:
                tagged = self.value(depth + 1)
                if tagged is not _BREAK:
                    return tagged
        raise CborError(f"a tag, number or break that has no place here, before byte {self.at}")

    def simple(self, info: int) -> Any:
        match info:
            case 20 | 21:
                return info == 21
            case 22:
                return None
            case 31:
                return _BREAK
            case _:
                raise CborError(f"a float or an unknown simple value at {self.at - 1}")

    def string(self, major: int, length: int | None, depth: int) -> bytes | str:
        if length is None:
            parts = list(self.items(None, depth))
            if not all(isinstance(part, bytes if major == 2 else str) for part in parts):
                raise CborError(f"a string in pieces of another type, before byte {self.at}")
            return b"".join(parts) if major == 2 else "".join(parts)
        raw = self.take(length)
        if major == 2:
            return raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise CborError(f"text that is not UTF-8, before byte {self.at}") from None

    def items(self, count: int | None, depth: int) -> list[Any]:
        if count is not None and count > len(self.data) - self.at:
            raise CborError(f"cut: {count} values at {self.at}, {len(self.data) - self.at} bytes left")
        found: list[Any] = []
        while count is None or len(found) < count:
            value = self.value(depth + 1)
            if value is _BREAK:
                if count is None:
                    break
                raise CborError(f"a break in a container of known length, before byte {self.at}")
            found.append(value)
        return found

    def map(self, pairs: int | None, depth: int) -> dict[str | bytes, Any]:
        flat = self.items(None if pairs is None else 2 * pairs, depth)
        keys = flat[::2]
        if len(flat) % 2 or not all(isinstance(key, str | bytes) for key in keys):
            raise CborError(f"a map with keys other than text and bytes, before byte {self.at}")
        found = dict(zip(keys, flat[1::2], strict=True))
        if len(found) != len(keys):
            raise CborError(f"a map with a key twice, before byte {self.at}")
        return found
