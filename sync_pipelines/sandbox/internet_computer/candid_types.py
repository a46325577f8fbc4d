"""The types of Candid, as the interfaces of the stand-in's canisters need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Primitive:
    """A type without parts. ``width`` is its size in bytes where that is fixed, else 0."""

    name: str
    code: int
    width: int = 0


NULL = Primitive("null", -1)
BOOL = Primitive("bool", -2, 1)
NAT = Primitive("nat", -3)
INT = Primitive("int", -4)
NAT8 = Primitive("nat8", -5, 1)
NAT16 = Primitive("nat16", -6, 2)
NAT32 = Primitive("nat32", -7, 4)
NAT64 = Primitive("nat64", -8, 8)
INT8 = Primitive("int8", -9, 1)
INT16 = Primitive("int16", -10, 2)
INT32 = Primitive("int32", -11, 4)
INT64 = Primitive("int64", -12, 8)
TEXT = Primitive("text", -15)
RESERVED = Primitive("reserved", -16)
EMPTY = Primitive("empty", -17)
PRINCIPAL = Primitive("principal", -24)

PRIMITIVES = {
    one.code: one
    for one in (NULL, BOOL, NAT, INT, NAT8, NAT16, NAT32, NAT64, INT8, INT16, INT32, INT64, TEXT, RESERVED, EMPTY)
} | {PRINCIPAL.code: PRINCIPAL}

OPT_CODE, VEC_CODE, RECORD_CODE, VARIANT_CODE, FUNC_CODE = -18, -19, -20, -21, -22


@dataclass(frozen=True, slots=True, eq=False)
class Opt:
    """A value that may be absent: ``None`` in Python."""

    inner: Type


@dataclass(frozen=True, slots=True, eq=False)
class Vec:
    """Any number of values; of ``nat8`` it is ``bytes`` in Python."""

    inner: Type


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Named parts: a mapping in Python, or a tuple when the names are the numbers from 0 on."""

    fields: Mapping[str, Type]

    @property
    def is_tuple(self) -> bool:
        """Whether the fields are numbered."""
        return all(name == str(number) for number, name in enumerate(self.fields))


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One of several: a mapping with one item in Python."""

    fields: Mapping[str, Type]


@dataclass(frozen=True, slots=True, eq=False)
class QueryFunc:
    """A reference to a query method: the canister's principal and the method's name in Python."""

    arguments: tuple[Type, ...]
    results: tuple[Type, ...]


@dataclass(slots=True, eq=False)
class Named:
    """A type that can refer to itself; what it stands for is set later."""

    name: str
    meaning: list[Type] = field(default_factory=list)


Type = Primitive | Opt | Vec | Record | Variant | QueryFunc | Named

BLOB = Vec(NAT8)


def tuple_of(*parts: Type) -> Record:
    """Return a record with numbered fields."""
    return Record({str(number): part for number, part in enumerate(parts)})


def resolved(kind: Type) -> Type:
    """Return what a named type stands for, other types as they are."""
    while isinstance(kind, Named):
        kind = kind.meaning[0]
    return kind


def field_id(name: str) -> int:
    """Return the number that stands for a field's name on the wire."""
    if name.isdigit():
        return int(name)
    value = 0
    for byte in name.encode():
        value = (value * 223 + byte) & 0xFFFFFFFF
    return value
