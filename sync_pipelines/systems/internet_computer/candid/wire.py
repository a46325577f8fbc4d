"""Reading Candid's bytes and the table of types that precedes the values."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.systems.internet_computer.candid.types import (
    FIXED_SIZES,
    FUNC,
    OPT,
    PRIMITIVES,
    RECORD,
    SERVICE,
    VARIANT,
    VEC,
)

MAGIC = b"DIDL"
MAX_TYPES = 2_000
MAX_FIELDS = 20_000
"""Of all types together."""
MAX_DEPTH = 100
MAX_NUMBER_BYTES = 64
"""Longest nat or int. Reading one takes time that grows with the square of its length."""

_MAX_LENGTH_BYTES = 10
_LONGEST_TYPE = 5


class CandidError(ValueError):
    """Bytes that are not Candid, not of the expected type, or too large."""


@dataclass(frozen=True, slots=True)
class WireType:
    """A constructed type of a message.

    Attributes:
        code: ``OPT``, ``VEC``, ...; a number below ``SERVICE`` that has no name is a type of the future.
        inner: type of the content of an opt or a vec: negative for a primitive, else the place in the table.
        fields: numbers and types of the fields of a record or a variant.
    """

    code: int
    inner: int = 0
    fields: tuple[tuple[int, int], ...] = ()


class WireReader:
    """Takes bytes from the front of a message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self.data) - self.at

    def error(self, message: str) -> CandidError:
        """Return an error that names the place."""
        return CandidError(f"{message}, before byte {self.at} of {len(self.data)}")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > self.left:
            raise self.error(f"cut: {count} bytes expected, {self.left} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        if self.at >= len(self.data):
            raise self.error("cut: one byte expected, none left")
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self, longest: int = _MAX_LENGTH_BYTES) -> int:
        """Return an unsigned LEB128 number of at most ``longest`` bytes."""
        byte = self.byte()
        if byte < 0x80:
            return byte
        return self._long(byte, longest)[0]

    def signed(self, longest: int = _LONGEST_TYPE) -> int:
        """Return a signed LEB128 number of at most ``longest`` bytes."""
        value, bits = self._long(self.byte(), longest)
        return value - (1 << bits) if value >> (bits - 1) else value

    def _long(self, byte: int, longest: int) -> tuple[int, int]:
        value, bits = byte & 0x7F, 7
        while byte & 0x80:
            if bits >= 7 * longest:
                raise self.error(f"a number of more than {longest} bytes")
            byte = self.byte()
            value |= (byte & 0x7F) << bits
            bits += 7
        return value, bits

    def text(self) -> str:
        """Return a text with its length before it."""
        try:
            return self.take(self.unsigned()).decode()
        except UnicodeDecodeError:
            raise self.error("text that is not UTF-8") from None


def read_header(reader: WireReader) -> tuple[tuple[WireType, ...], tuple[int, ...]]:
    """Return the types of a message: the table, and of each value its type.

    Raises:
        CandidError: not Candid, malformed, or too large.
    """
    if reader.left < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
        raise reader.error("not Candid: it does not begin with DIDL")
    count = reader.unsigned()
    if count > min(MAX_TYPES, reader.left):
        raise reader.error(f"a table of {count} types")
    budget = MAX_FIELDS
    table = []
    for _ in range(count):
        entry = _read_type(reader, budget)
        budget -= len(entry.fields)
        table.append(entry)
    values = _read_references(reader, MAX_FIELDS)
    references = {inner for entry in table for _, inner in entry.fields}
    references.update(entry.inner for entry in table if entry.code in (OPT, VEC))
    references.update(values)
    for reference in references:
        if reference >= count or (reference < 0 and reference not in PRIMITIVES):
            raise reader.error(f"a reference to type {reference}, which there is not")
    return tuple(table), values


def _read_type(reader: WireReader, budget: int) -> WireType:
    code = reader.signed()
    match code:
        case _ if code in (OPT, VEC):
            return WireType(code, inner=reader.signed())
        case _ if code in (RECORD, VARIANT):
            return WireType(code, fields=_read_fields(reader, budget))
        case _ if code == FUNC:
            # What the function takes and gives does not matter to one who passes its reference on.
            _read_references(reader, budget)
            _read_references(reader, budget)
            reader.take(reader.unsigned())
        case _ if code == SERVICE:
            for _ in range(_bounded(reader, budget)):
                reader.text()
                reader.signed()
        case _ if code < SERVICE and code not in PRIMITIVES:
            reader.take(reader.unsigned())
        case _:
            raise reader.error(f"a constructed type with code {code}")
    return WireType(code)


def _read_fields(reader: WireReader, budget: int) -> tuple[tuple[int, int], ...]:
    fields = []
    last = -1
    for _ in range(_bounded(reader, budget)):
        number = reader.unsigned()
        if not last < number <= 0xFFFFFFFF:
            raise reader.error(f"field {number} after field {last}")
        last = number
        fields.append((number, reader.signed()))
    return tuple(fields)


def _read_references(reader: WireReader, budget: int) -> tuple[int, ...]:
    return tuple(reader.signed() for _ in range(_bounded(reader, budget)))


def _bounded(reader: WireReader, budget: int) -> int:
    count = reader.unsigned()
    if count > min(budget, reader.left):
        raise reader.error(f"{count} parts of a type")
    return count


def fixed_sizes(table: tuple[WireType, ...]) -> dict[int, int]:
    """Return the bytes of a value of each type whose values all have the same number of them.

    Such values are skipped at once, however many: a ``vec null`` of a trillion elements takes no bytes at all.
    """
    sizes = dict(FIXED_SIZES)
    records = [(place, entry) for place, entry in enumerate(table) if entry.code == RECORD]
    for _ in range(MAX_DEPTH):
        found = [
            (place, sum(sizes[inner] for _, inner in entry.fields))
            for place, entry in records
            if place not in sizes and all(inner in sizes for _, inner in entry.fields)
        ]
        if not found:
            break
        sizes.update(found)
    return sizes
