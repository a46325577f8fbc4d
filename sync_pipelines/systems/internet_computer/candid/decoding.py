"""Reading Candid values as the types that are expected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from sync_pipelines.systems.internet_computer.candid.types import (
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    FUNC,
    INT,
    NAT,
    NAT8,
    NULL,
    OPT,
    PRINCIPAL,
    RECORD,
    RESERVED,
    SERVICE,
    TEXT,
    VARIANT,
    VEC,
    Func,
    Lazy,
    Opt,
    Primitive,
    Record,
    Type,
    Variant,
    Vec,
)
from sync_pipelines.systems.internet_computer.candid.wire import (
    MAX_DEPTH,
    MAX_NUMBER_BYTES,
    CandidError,
    WireReader,
    WireType,
    fixed_sizes,
    read_header,
)

MAX_VALUES = 500_000
"""Values in one message. The largest reply of 3 MiB that a ledger gives has some 200,000."""

_LONGEST_PRINCIPAL = 29
_WORDS = {
    **{-5 - power: (1 << power, False) for power in range(4)},
    **{-9 - power: (1 << power, True) for power in range(4)},
}
_FLOATS = {FLOAT32.code: struct.Struct("<f"), FLOAT64.code: struct.Struct("<d")}


def decode(data: bytes, types: Sequence[Type]) -> list[Any]:
    """Return the values of a message, one for each expected type.

    Peers are upgraded, so that fields, cases and values that are not expected are skipped, and an opt that is not there
    is ``None``. An opt that holds another type than expected is an error: Candid would read it as null, and what a
    ledger says must not vanish.

    Raises:
        CandidError: not Candid, not of these types, too deep, or too many values.
    """
    reader = WireReader(data)
    table, wires = read_header(reader)
    decoder = _Decoder(reader, table)
    values = [decoder.read(wire, expected, 0) for wire, expected in zip(wires, types, strict=False)]
    for expected in types[len(wires) :]:
        if not _may_be_absent(expected):
            raise reader.error(f"{len(wires)} values, {len(types)} expected")
        values.append(None)
    for wire in wires[len(types) :]:
        decoder.skip(wire, 0)
    if reader.left:
        raise reader.error(f"{reader.left} bytes after the end")
    return values


def _may_be_absent(expected: Type) -> bool:
    return isinstance(expected, Opt) or expected in (NULL, RESERVED)


class _Decoder:
    def __init__(self, reader: WireReader, table: tuple[WireType, ...]) -> None:
        self.reader = reader
        self.table = table
        self.budget = MAX_VALUES
        self.sizes = fixed_sizes(table)

    def spend(self, depth: int, values: int = 1) -> None:
        self.budget -= values
        if self.budget < 0 or depth > MAX_DEPTH:
            raise self.reader.error("more values than a reply can have" if self.budget < 0 else "nested too deeply")

    def mismatch(self, wire: int, expected: str) -> CandidError:
        found = f"type {wire}" if wire < 0 else f"a constructed type {self.table[wire].code}"
        return self.reader.error(f"{expected} expected, {found} found")

    def read(self, wire: int, expected: Type, depth: int) -> Any:
        self.spend(depth)
        if isinstance(expected, Primitive):
            return self.primitive(wire, expected, depth)
        if isinstance(expected, Lazy):
            return self.read(wire, expected.resolve(), depth)
        if isinstance(expected, Opt):
            return self.opt(wire, expected, depth)
        entry = self.table[wire] if wire >= 0 else None
        if isinstance(expected, Vec) and entry is not None and entry.code == VEC:
            return self.vec(entry, expected, depth)
        if isinstance(expected, Record) and entry is not None and entry.code == RECORD:
            return self.record(entry, expected, depth)
        if isinstance(expected, Variant) and entry is not None and entry.code == VARIANT:
            return self.variant(entry, expected, depth)
        if isinstance(expected, Func) and entry is not None and entry.code == FUNC:
            return self.func()
        raise self.mismatch(wire, type(expected).__name__.lower())

    def opt(self, wire: int, expected: Opt, depth: int) -> Any:
        if wire in (NULL.code, RESERVED.code):
            return None
        if wire < 0 or self.table[wire].code != OPT:
            return self.read(wire, expected.inner, depth + 1)
        return self.read(self.table[wire].inner, expected.inner, depth + 1) if self.flag() else None

    def vec(self, entry: WireType, expected: Vec, depth: int) -> Any:
        count = self.reader.unsigned()
        if expected.inner is NAT8 and entry.inner == NAT8.code:
            return self.reader.take(count)
        if count > self.budget:
            raise self.reader.error(f"a vec of {count} elements")
        return [self.read(entry.inner, expected.inner, depth + 1) for _ in range(count)]

    def record(self, entry: WireType, expected: Record, depth: int) -> Any:
        found = {}
        for number, inner in entry.fields:
            field = expected.by_id.get(number)
            if field is None:
                self.skip(inner, depth + 1)
            else:
                found[field.name] = self.read(inner, field.type, depth + 1)
        if len(found) < len(expected.fields):
            for field in expected.fields:
                if field.name not in found:
                    if not _may_be_absent(field.type):
                        raise self.reader.error(f"a record without its field {field.name!r}")
                    found[field.name] = None
        return tuple(found[field.name] for field in expected.fields) if expected.is_tuple else found

    def variant(self, entry: WireType, expected: Variant, depth: int) -> tuple[str, Any]:
        case, inner = self.case(entry)
        field = expected.by_id.get(case)
        if field is None:
            raise self.reader.error(f"a variant with an unknown case {case}")
        return field.name, self.read(inner, field.type, depth + 1)

    def case(self, entry: WireType) -> tuple[int, int]:
        place = self.reader.unsigned()
        if place >= len(entry.fields):
            raise self.reader.error(f"case {place} of a variant with {len(entry.fields)} cases")
        return entry.fields[place]

    def func(self) -> tuple[bytes, str]:
        self.transparent()
        return self.principal(), self.reader.text()

    def principal(self) -> bytes:
        self.transparent()
        length = self.reader.unsigned()
        if length > _LONGEST_PRINCIPAL:
            raise self.reader.error(f"a principal of {length} bytes")
        return self.reader.take(length)

    def transparent(self) -> None:
        if not self.flag():
            raise self.reader.error("an opaque reference")

    def flag(self) -> bool:
        byte = self.reader.byte()
        if byte > 1:
            raise self.reader.error(f"{byte} where 0 or 1 has to be")
        return byte == 1

    def primitive(self, wire: int, expected: Primitive, depth: int) -> Any:
        if expected is RESERVED:
            self.skip(wire, depth)
            return None
        if wire != expected.code and not (expected is INT and wire == NAT.code):
            raise self.mismatch(wire, expected.name)
        return self.scalar(wire)

    def scalar(self, wire: int) -> Any:
        """Return the value of a primitive type."""
        if wire == TEXT.code:
            return self.reader.text()
        if wire == NAT.code:
            return self.reader.unsigned(MAX_NUMBER_BYTES)
        if wire == INT.code:
            return self.reader.signed(MAX_NUMBER_BYTES)
        if wire in _WORDS:
            size, is_signed = _WORDS[wire]
            return int.from_bytes(self.reader.take(size), "little", signed=is_signed)
        if wire == BOOL.code:
            return self.flag()
        if wire == PRINCIPAL.code:
            return self.principal()
        if wire in _FLOATS:
            return _FLOATS[wire].unpack(self.reader.take(_FLOATS[wire].size))[0]
        if wire == EMPTY.code:
            raise self.reader.error("a value of a type that has none")
        return None

    def skip(self, wire: int, depth: int) -> None:
        """Pass over a value that nobody asked for."""
        self.spend(depth)
        size = self.sizes.get(wire)
        if size is not None:
            self.reader.take(size)
        elif wire < 0:
            self.scalar(wire)
        else:
            self.skip_constructed(self.table[wire], depth)

    def skip_constructed(self, entry: WireType, depth: int) -> None:
        if entry.code == OPT:
            if self.flag():
                self.skip(entry.inner, depth + 1)
        elif entry.code == VEC:
            self.skip_vec(entry.inner, depth)
        elif entry.code == RECORD:
            for _, inner in entry.fields:
                self.skip(inner, depth + 1)
        elif entry.code == VARIANT:
            self.skip(self.case(entry)[1], depth + 1)
        elif entry.code == FUNC:
            self.func()
        elif entry.code == SERVICE:
            self.principal()
        else:
            # A type of the future tells the number of its bytes, and then of its references.
            length = self.reader.unsigned()
            if self.reader.unsigned():
                raise self.reader.error("references inside a type that is not known")
            self.reader.take(length)

    def skip_vec(self, inner: int, depth: int) -> None:
        count = self.reader.unsigned()
        size = self.sizes.get(inner)
        if size is not None:
            self.reader.take(count * size)
            return
        if count > self.budget:
            raise self.reader.error(f"a vec of {count} elements")
        for _ in range(count):
            self.skip(inner, depth + 1)
