"""The Candid types that a reader expects or a writer writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """A type without parts. ``code`` is its number on the wire."""

    name: str
    code: int


@dataclass(frozen=True, eq=False, slots=True)
class Opt:
    """A value or ``None``."""

    inner: Type


@dataclass(frozen=True, eq=False, slots=True)
class Vec:
    """A list; bytes for ``vec nat8``."""

    inner: Type


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """A field of a record, or a case of a variant. ``id`` is the hash of its name."""

    id: int
    name: str
    type: Type


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """A dict by field name; a tuple if the fields are numbered 0, 1, 2."""

    fields: tuple[Field, ...]
    is_tuple: bool
    by_id: Mapping[int, Field] = field(repr=False)


@dataclass(frozen=True, eq=False, slots=True)
class Variant:
    """A pair of the name of the case and its value."""

    fields: tuple[Field, ...]
    by_id: Mapping[int, Field] = field(repr=False)


@dataclass(frozen=True, eq=False, slots=True)
class Func:
    """A pair of the principal of a canister and the name of its method."""


@dataclass(frozen=True, eq=False, slots=True)
class Lazy:
    """A type that is defined later, so that a type can contain itself."""

    resolve: Callable[[], Type]


Type = Primitive | Opt | Vec | Record | Variant | Func | Lazy

NULL: Final = Primitive("null", -1)
BOOL: Final = Primitive("bool", -2)
NAT: Final = Primitive("nat", -3)
INT: Final = Primitive("int", -4)
NAT8: Final = Primitive("nat8", -5)
NAT16: Final = Primitive("nat16", -6)
NAT32: Final = Primitive("nat32", -7)
NAT64: Final = Primitive("nat64", -8)
INT8: Final = Primitive("int8", -9)
INT16: Final = Primitive("int16", -10)
INT32: Final = Primitive("int32", -11)
INT64: Final = Primitive("int64", -12)
FLOAT32: Final = Primitive("float32", -13)
FLOAT64: Final = Primitive("float64", -14)
TEXT: Final = Primitive("text", -15)
RESERVED: Final = Primitive("reserved", -16)
EMPTY: Final = Primitive("empty", -17)
PRINCIPAL: Final = Primitive("principal", -24)
BLOB: Final = Vec(NAT8)

PRIMITIVES: Final = {
    primitive.code: primitive
    for primitive in (
        *(NULL, BOOL, NAT, INT, NAT8, NAT16, NAT32, NAT64, INT8, INT16, INT32, INT64),
        *(FLOAT32, FLOAT64, TEXT, RESERVED, EMPTY, PRINCIPAL),
    )
}
FIXED_SIZES: Final = {-1: 0, -2: 1, -5: 1, -6: 2, -7: 4, -8: 8, -9: 1, -10: 2, -11: 4, -12: 8, -13: 4, -14: 8, -16: 0}
"""Bytes of a value by the code of its primitive type, where all values have as many."""

OPT, VEC, RECORD, VARIANT, FUNC, SERVICE = -18, -19, -20, -21, -22, -23


def field_id(name: str) -> int:
    """Return the number that stands for a name on the wire; of a number, the number itself."""
    if name.isdecimal():
        return int(name)
    found = 0
    for byte in name.encode():
        found = (found * 223 + byte) & 0xFFFFFFFF
    return found


def record(fields: Mapping[str, Type]) -> Record:
    """Return a record type by the names of its fields."""
    sorted_fields = _sorted(fields)
    return Record(sorted_fields, False, {each.id: each for each in sorted_fields})


def tuple_of(*parts: Type) -> Record:
    """Return a record type whose fields are numbered."""
    fields = tuple(Field(number, str(number), part) for number, part in enumerate(parts))
    return Record(fields, True, {each.id: each for each in fields})


def variant(cases: Mapping[str, Type]) -> Variant:
    """Return a variant type by the names of its cases."""
    fields = _sorted(cases)
    return Variant(fields, {each.id: each for each in fields})


def _sorted(types: Mapping[str, Type]) -> tuple[Field, ...]:
    fields = (Field(field_id(name), name, each) for name, each in types.items())
    return tuple(sorted(fields, key=lambda each: each.id))
