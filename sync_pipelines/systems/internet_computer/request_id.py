"""The representation-independent hash, by which requests and replies are identified and signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sync_pipelines.systems.internet_computer import leb128

Hashable = bytes | str | int | Sequence["Hashable"] | Mapping[str, "Hashable"]


def representation_hash(value: Hashable) -> bytes:
    """Return the 32-byte hash of a value: bytes, text, natural number, sequence or map.

    Numbers are hashed in their shortest unsigned LEB128 form, sequences as the hashes of their elements, maps as the
    sorted pairs of the hashes of key and value. Fields that are absent must not be in the map.

    Raises:
        ValueError: a negative number.
        TypeError: anything else.
    """
    match value:
        case bytes():
            return hashlib.sha256(value).digest()
        case str():
            return hashlib.sha256(value.encode()).digest()
        case bool():
            raise TypeError("a truth value has no hash")
        case int():
            return hashlib.sha256(leb128.unsigned(value)).digest()
        case Mapping():
            pairs = sorted(representation_hash(key) + representation_hash(item) for key, item in value.items())
            return hashlib.sha256(b"".join(pairs)).digest()
        case Sequence():
            return hashlib.sha256(b"".join(map(representation_hash, value))).digest()
        case _:
            raise TypeError(f"a value of type {type(value).__name__} has no hash")


def request_id(content: Mapping[str, Hashable]) -> bytes:
    """Return the identifier of a request: the hash of its content."""
    return representation_hash(content)
