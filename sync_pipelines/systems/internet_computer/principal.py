"""Principals: the identifiers of canisters, subnets, nodes and users, as text and as bytes."""

from __future__ import annotations

import base64
import hashlib
import zlib

ANONYMOUS = b"\x04"
ED25519_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""A DER-encoded Ed25519 public key is this and the 32 bytes of the key."""

_LONGEST = 29


def principal_text(raw: bytes) -> str:
    """Return the text of a principal: lower base32 of CRC32 and bytes, a dash after every five characters.

    Raises:
        ValueError: longer than 29 bytes.
    """
    if len(raw) > _LONGEST:
        raise ValueError(f"a principal has at most {_LONGEST} bytes, not {len(raw)}")
    checked = zlib.crc32(raw).to_bytes(4, "big") + raw
    text = base64.b32encode(checked).decode("ascii").rstrip("=").lower()
    return "-".join(text[at : at + 5] for at in range(0, len(text), 5))


def principal_bytes(text: str) -> bytes:
    """Return the bytes of a principal. Only the form that :func:`principal_text` writes is taken.

    Raises:
        ValueError: not base32, wrong length, wrong checksum, or written in another way.
    """
    letters = text.replace("-", "").upper()
    try:
        checked = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:
        raise ValueError(f"{text!r:.100} is not a principal: base32 in groups of five was expected") from None
    if not 4 <= len(checked) <= 4 + _LONGEST:
        raise ValueError(f"{text!r:.100} is not a principal: it has a wrong length")
    raw = checked[4:]
    if zlib.crc32(raw).to_bytes(4, "big") != checked[:4]:
        raise ValueError(f"{text!r:.100} is not a principal: its checksum is wrong; is a character mistyped?")
    if principal_text(raw) != text:
        raise ValueError(f"{text!r:.100} is not how a principal is written; {principal_text(raw)!r} is")
    return raw


def self_authenticating(der_key: bytes) -> bytes:
    """Return the principal of whoever holds the key, e.g. of a subnet by its BLS key."""
    return hashlib.sha224(der_key).digest() + b"\x02"


def ed25519_principal(public_key: bytes) -> bytes:
    """Return the principal of a raw Ed25519 key. Raises ``ValueError`` unless it has 32 bytes."""
    if len(public_key) != 32:
        raise ValueError(f"an Ed25519 key has 32 bytes, not {len(public_key)}")
    return self_authenticating(ED25519_DER_PREFIX + public_key)
