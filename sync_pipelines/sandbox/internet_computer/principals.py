"""Principals: the ids of canisters, nodes, subnets and persons, as bytes and as text."""

from __future__ import annotations

import base64
import hashlib
import zlib

ANONYMOUS = b"\x04"
LONGEST = 29
_GROUP = 5
_ED25519_DER = bytes.fromhex("302a300506032b6570032100")


def principal_text(principal: bytes) -> str:
    """Return the text of a principal: checksum and bytes in base32, in groups of five."""
    checked = zlib.crc32(principal).to_bytes(4, "big") + principal
    text = base64.b32encode(checked).decode("ascii").rstrip("=").lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def principal_bytes(text: str) -> bytes:
    """Return the bytes of a principal.

    Raises:
        ValueError: the text is not exactly the one that :func:`principal_text` gives.
    """
    plain = text.replace("-", "").upper()
    try:
        decoded = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except ValueError as error:
        raise ValueError(f"invalid principal {text!r}: {error}") from None
    principal = decoded[4:]
    if len(decoded) < 4 or len(principal) > LONGEST or principal_text(principal) != text:
        raise ValueError(f"invalid principal {text!r}")
    return principal


def self_authenticating(der_key: bytes) -> bytes:
    """Return the principal of whoever holds the key with this DER encoding."""
    return hashlib.sha224(der_key).digest() + b"\x02"


def ed25519_der(public_key: bytes) -> bytes:
    """Return the DER encoding (44 bytes) of a raw Ed25519 public key (32 bytes)."""
    return _ED25519_DER + public_key


def ed25519_raw(der_key: bytes) -> bytes | None:
    """Return the raw key of a DER encoding, ``None`` when it is of another kind."""
    key = der_key.removeprefix(_ED25519_DER)
    return key if len(key) == 32 and len(der_key) == 44 else None


def canister_principal(number: int) -> bytes:
    """Return the id of the canister that a network would give this number."""
    return number.to_bytes(8, "big") + b"\x01\x01"
