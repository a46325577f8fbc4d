"""``Value``, the generic type in which ICRC ledgers tell metadata and blocks, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sync_pipelines.systems.internet_computer import leb128
from sync_pipelines.systems.internet_computer.candid import BLOB, INT, NAT, TEXT, Lazy, Type, Vec, tuple_of, variant

LARGEST = 2**63 - 1
"""Largest position, length or time that a ledger may tell of. A Nat has no end, but no ledger gets there."""

Value = tuple[str, Any]
"""Name of the case (Blob, Text, Nat, Int, Array, Map) and its content; a Map is a list of pairs."""

_SELF = Lazy(lambda: VALUE)
VALUE: Type = variant(
    {"Blob": BLOB, "Text": TEXT, "Nat": NAT, "Int": INT, "Array": Vec(_SELF), "Map": Vec(tuple_of(TEXT, _SELF))}
)
"""The type never changes, so that nothing of a block gets lost on its way to who hashes it."""


def hash_value(value: Value) -> bytes:
    """Return the hash of a value, as ICRC-3 lays it down.

    Like the hash of requests; an Int is hashed in its signed LEB128 form.
    """
    match value:
        case ("Blob", bytes(content)):
            return _sha256(content)
        case ("Text", str(content)):
            return _sha256(content.encode())
        case ("Nat", int(content)):
            return _sha256(leb128.unsigned(content))
        case ("Int", int(content)):
            return _sha256(leb128.signed(content))
        case ("Array", content):
            return _sha256(b"".join(map(hash_value, content)))
        case ("Map", content):
            return _sha256(b"".join(sorted(_sha256(key.encode()) + hash_value(item) for key, item in content)))
        case _:
            raise ValueError(f"{value!r:.100} is no value")


def as_map(value: Value | None) -> Mapping[str, Value]:
    """Return a Map by its keys. Raises ``ValueError`` for another case, or a key twice."""
    match value:
        case ("Map", list(pairs)):
            found = dict(pairs)
            if len(found) != len(pairs):
                raise ValueError("a map with a key twice")
            return found
        case _:
            raise ValueError("a map was expected")


def optional(fields: Mapping[str, Value], name: str, *cases: str) -> Any:
    """Return the content of a field; ``None`` when it is not there. Raises ``ValueError`` for another case."""
    if name not in fields:
        return None
    case, content = fields[name]
    if case not in cases:
        raise ValueError(f"{name} is {case} and not {' or '.join(cases)}")
    return content


def required(fields: Mapping[str, Value], name: str, *cases: str) -> Any:
    """Return the content of a field. Raises ``ValueError`` when it is not there, or of another case."""
    if name not in fields:
        raise ValueError(f"{name} is missing")
    return optional(fields, name, *cases)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
