"""Numbers of any size in seven-bit groups, as Candid and hashes write them."""

from __future__ import annotations


def unsigned(value: int) -> bytes:
    """Return the shortest LEB128 of a number from 0 on."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def signed(value: int) -> bytes:
    """Return the shortest SLEB128 of any whole number."""
    groups = bytearray()
    while not -0x40 <= value < 0x40:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value & 0x7F)
    return bytes(groups)


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the place after it.

    Raises:
        ValueError: the data end within it.
    """
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("unexpected end of a number")


def read_signed(data: bytes, at: int) -> tuple[int, int]:
    """Return a number that may be negative, and the place after it.

    Raises:
        ValueError: the data end within it.
    """
    start = at
    value, at = read_unsigned(data, at)
    bits = 7 * (at - start)
    return (value - (1 << bits) if data[at - 1] & 0x40 else value), at
