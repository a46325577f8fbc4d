"""Decoding what the application store holds: protobuf pairs around offerings in JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_KEY_FIELD = 1 << 3 | 2
_VALUE_FIELD = 2 << 3 | 2
_JSON = json.JSONDecoder(parse_float=Decimal)
SECRETS = "encrypted_secrets"


class StoreCorrupt(ValueError):
    """The bytes are not what the store is known to hold."""


def decode_value(text: str) -> bytes:
    """Return the bytes of an ``abci_query`` value. Raises :class:`StoreCorrupt`."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise StoreCorrupt("the value is not base64") from None


def decode_pairs(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the pairs of a subspace: ``Pairs { repeated Pair pairs = 1 }``, ``Pair { bytes key = 1, value = 2 }``.

    Raises:
        StoreCorrupt: the message ends too early or has other fields.
    """
    pairs = []
    for tag, inner in _fields(content):
        if tag != _KEY_FIELD:
            raise StoreCorrupt(f"unexpected field tag {tag} in the list of pairs")
        # protobuf leaves an empty field out
        fields = {_KEY_FIELD: b"", _VALUE_FIELD: b""} | dict(_fields(inner))
        pairs.append((fields[_KEY_FIELD], fields[_VALUE_FIELD]))
    return pairs


def decode_offering(value: bytes) -> dict[str, Any]:
    """Return an offering with exact numbers and without its secrets.

    Integers stay integers of any size (amounts exceed 2^53), fractions become ``Decimal``.

    Raises:
        StoreCorrupt: the value is not a JSON object.
    """
    try:
        offering = _JSON.decode(value.decode())
    except ValueError:
        raise StoreCorrupt("the value is not JSON") from None
    if not isinstance(offering, dict):
        raise StoreCorrupt("the value is not a JSON object")
    # Whatever leaves this package may be stored, shown and logged.
    offering.pop(SECRETS, None)
    return offering


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        if tag & 7 != 2:
            raise StoreCorrupt(f"unexpected wire type {tag & 7}")
        length, position = _varint(content, position)
        end = position + length
        if end > len(content):
            raise StoreCorrupt("the list of pairs ends too early")
        yield tag, content[position:end]
        position = end


def _varint(content: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            raise StoreCorrupt("the list of pairs ends too early")
        byte = content[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7
