"""The hash of structured data that does not depend on how they are encoded: request ids, and what nodes sign."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipelines.sandbox.internet_computer import leb128


def hash_of(value: Any) -> bytes:
    """Return the hash of texts, bytes, numbers from 0 on, sequences and mappings of these.

    Raises:
        TypeError: a value is of another type, e.g. a float or ``None``.
        ValueError: a number is negative.
    """
    if isinstance(value, Mapping):
        pairs = (hash_of(name) + hash_of(content) for name, content in value.items())
        return hashlib.sha256(b"".join(sorted(pairs))).digest()
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).digest()
    if isinstance(value, bytes):
        return hashlib.sha256(value).digest()
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is negative")
        return hashlib.sha256(leb128.unsigned(value)).digest()
    if isinstance(value, Sequence):
        return hashlib.sha256(b"".join(map(hash_of, value))).digest()
    raise TypeError(f"{type(value).__name__} cannot be hashed")
