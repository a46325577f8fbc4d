"""LEB128, the variable-length integers of Candid and of the hashes of the Internet Computer."""

from __future__ import annotations


def unsigned(value: int) -> bytes:
    """Return the shortest unsigned LEB128 form. Raises ``ValueError`` for a negative number."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """Return the shortest signed LEB128 form."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def read_unsigned(data: bytes) -> int:
    """Return the number that the whole of ``data`` stands for, e.g. a leaf of a certificate.

    Raises:
        ValueError: empty, cut, followed by more, or longer than any number here can be.
    """
    if not data or len(data) > 19 or data[-1] & 0x80 or any(not byte & 0x80 for byte in data[:-1]):
        raise ValueError(f"{data[:20].hex()} is not one LEB128 number")
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))
