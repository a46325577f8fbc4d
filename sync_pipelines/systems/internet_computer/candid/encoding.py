"""Writing Candid."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from sync_pipelines.systems.internet_computer import leb128
from sync_pipelines.systems.internet_computer.candid.types import (
    BOOL,
    FIXED_SIZES,
    FLOAT32,
    FLOAT64,
    FUNC,
    INT,
    INT8,
    INT64,
    NAT,
    NAT8,
    NULL,
    OPT,
    PRINCIPAL,
    RECORD,
    RESERVED,
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
from sync_pipelines.systems.internet_computer.candid.wire import MAGIC

_QUERY = 1


def encode(types: Sequence[Type], values: Sequence[Any]) -> bytes:
    """Return a message: the values, and what their types are.

    Arguments:
        values: as :func:`decode` returns them. Absent fields of an opt type may be left out of a dict.

    Raises:
        ValueError: a value that does not fit its type, or another number of them.
    """
    table = _Table()
    references = [table.reference(each) for each in types]
    out = bytearray(MAGIC + leb128.unsigned(len(table.entries)))
    for entry in table.entries:
        out += entry
    out += leb128.unsigned(len(references))
    for reference in references:
        out += leb128.signed(reference)
    for each, value in zip(types, values, strict=True):
        _write(out, each, value)
    return bytes(out)


class _Table:
    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.places: dict[int, int] = {}

    def reference(self, type_: Type) -> int:
        if isinstance(type_, Primitive):
            return type_.code
        if isinstance(type_, Lazy):
            return self.reference(type_.resolve())
        if id(type_) not in self.places:
            # The place comes before the parts: one of them may be this type itself.
            place = self.places[id(type_)] = len(self.entries)
            self.entries.append(b"")
            self.entries[place] = self.entry(type_)
        return self.places[id(type_)]

    def entry(self, type_: Opt | Vec | Record | Variant | Func) -> bytes:
        match type_:
            case Opt(inner) | Vec(inner):
                code = OPT if isinstance(type_, Opt) else VEC
                return leb128.signed(code) + leb128.signed(self.reference(inner))
            case Func():
                return leb128.signed(FUNC) + b"\x00\x00" + bytes((1, _QUERY))
            case _:
                parts = [leb128.unsigned(each.id) + leb128.signed(self.reference(each.type)) for each in type_.fields]
                code = RECORD if isinstance(type_, Record) else VARIANT
                return leb128.signed(code) + leb128.unsigned(len(parts)) + b"".join(parts)


def _write(out: bytearray, type_: Type, value: Any) -> None:
    match type_:
        case Primitive():
            out += _primitive(type_, value)
        case Lazy():
            _write(out, type_.resolve(), value)
        case Opt(inner):
            out.append(value is not None)
            if value is not None:
                _write(out, inner, value)
        case Vec(inner):
            out += leb128.unsigned(len(value))
            if inner is NAT8:
                out += value
            else:
                for item in value:
                    _write(out, inner, item)
        case Record():
            for place, each in enumerate(type_.fields):
                _write(out, each.type, value[place] if type_.is_tuple else _field(value, each.name, each.type))
        case Variant():
            name, content = value
            names = [each.name for each in type_.fields]
            place = names.index(name)
            out += leb128.unsigned(place)
            _write(out, type_.fields[place].type, content)
        case Func():
            canister, method = value
            out += b"\x01" + _primitive(PRINCIPAL, canister) + _primitive(TEXT, method)


def _field(value: dict[str, Any], name: str, type_: Type) -> Any:
    if name not in value and not isinstance(type_, Opt):
        raise ValueError(f"a record without its field {name!r}")
    return value.get(name)


def _primitive(type_: Primitive, value: Any) -> bytes:
    if type_ in (NULL, RESERVED):
        return b""
    if type_ is BOOL:
        return bytes((bool(value),))
    if type_ is NAT:
        return leb128.unsigned(value)
    if type_ is INT:
        return leb128.signed(value)
    if type_ is TEXT:
        raw = value.encode()
        return leb128.unsigned(len(raw)) + bytes(raw)
    if type_ is PRINCIPAL:
        return b"\x01" + leb128.unsigned(len(value)) + bytes(value)
    if type_ in (FLOAT32, FLOAT64):
        return struct.pack("<f" if type_ is FLOAT32 else "<d", value)
    if type_.code not in FIXED_SIZES:
        raise ValueError(f"type {type_.name} has no values")
    is_signed = INT64.code <= type_.code <= INT8.code
    try:
        return bytes(value.to_bytes(FIXED_SIZES[type_.code], "little", signed=is_signed))
    except OverflowError:
        raise ValueError(f"{value} is no {type_.name}") from None
