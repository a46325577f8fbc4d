"""Writes values in Candid: the table of types, then the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipelines.sandbox.internet_computer import leb128
from sync_pipelines.sandbox.internet_computer.candid_types import (
    BOOL,
    FUNC_CODE,
    INT,
    NAT,
    NAT8,
    NULL,
    OPT_CODE,
    PRINCIPAL,
    RECORD_CODE,
    RESERVED,
    TEXT,
    VARIANT_CODE,
    VEC_CODE,
    Opt,
    Primitive,
    QueryFunc,
    Record,
    Type,
    Variant,
    Vec,
    field_id,
    resolved,
)

_QUERY_ANNOTATION = b"\x01"


def encode(types: Sequence[Type], values: Sequence[Any]) -> bytes:
    """Return values of given types, as arguments or as results.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: a value is not of its type.
    """
    table = _Table()
    references = [table.reference(kind) for kind in types]
    parts = [b"DIDL", leb128.unsigned(len(table.rows)), *table.rows]
    parts += [leb128.unsigned(len(types)), *map(leb128.signed, references)]
    for kind, value in zip(types, values, strict=True):
        _write(parts, kind, value)
    return b"".join(parts)


class _Table:
    """The types with parts that occur, each once."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self._places: dict[int, int] = {}

    def reference(self, kind: Type) -> int:
        """Return the code of a primitive type, else the row of the type."""
        kind = resolved(kind)
        if isinstance(kind, Primitive):
            return kind.code
        # A type may contain itself: its place is known before its parts are.
        if id(kind) not in self._places:
            self._places[id(kind)] = len(self.rows)
            self.rows.append(b"")
            self.rows[self._places[id(kind)]] = self._row(kind)
        return self._places[id(kind)]

    def _row(self, kind: Type) -> bytes:
        match kind:
            case Opt(inner):
                return leb128.signed(OPT_CODE) + leb128.signed(self.reference(inner))
            case Vec(inner):
                return leb128.signed(VEC_CODE) + leb128.signed(self.reference(inner))
            case QueryFunc(arguments, results):
                row = leb128.signed(FUNC_CODE) + self._list(arguments) + self._list(results)
                return row + leb128.unsigned(len(_QUERY_ANNOTATION)) + _QUERY_ANNOTATION
            case Record(fields) | Variant(fields):
                code = RECORD_CODE if isinstance(kind, Record) else VARIANT_CODE
                row = leb128.signed(code) + leb128.unsigned(len(fields))
                for name, inner in by_id(fields):
                    row += leb128.unsigned(field_id(name)) + leb128.signed(self.reference(inner))
                return row
        raise TypeError(f"{kind} has no row in the table")

    def _list(self, types: Sequence[Type]) -> bytes:
        return leb128.unsigned(len(types)) + b"".join(leb128.signed(self.reference(one)) for one in types)


def by_id(fields: Mapping[str, Type]) -> list[tuple[str, Type]]:
    """Return fields in the order in which they travel."""
    return sorted(fields.items(), key=lambda pair: field_id(pair[0]))


def _write(parts: list[bytes], kind: Type, value: Any) -> None:
    match resolved(kind):
        case Primitive() as primitive:
            parts.append(_primitive(primitive, value))
        case Opt(inner):
            parts.append(b"\x00" if value is None else b"\x01")
            if value is not None:
                _write(parts, inner, value)
        case Vec(inner) if inner is NAT8:
            parts += [leb128.unsigned(len(value)), bytes(value)]
        case Vec(inner):
            parts.append(leb128.unsigned(len(value)))
            for one in value:
                _write(parts, inner, one)
        case Record(fields) as record:
            named = {str(number): one for number, one in enumerate(value)} if record.is_tuple else value
            for name, inner in by_id(fields):
                _write(parts, inner, named[name])
        case Variant(fields):
            ((chosen, content),) = value.items()
            names = [name for name, _ in by_id(fields)]
            parts.append(leb128.unsigned(names.index(chosen)))
            _write(parts, fields[chosen], content)
        case QueryFunc():
            principal, method = value
            parts += [b"\x01", _primitive(PRINCIPAL, principal), _primitive(TEXT, method)]


def _primitive(kind: Primitive, value: Any) -> bytes:
    if kind in (NULL, RESERVED):
        return b""
    if kind is BOOL:
        return b"\x01" if value else b"\x00"
    if kind is NAT:
        if value < 0:
            raise ValueError(f"{value} is no natural number")
        return leb128.unsigned(value)
    if kind is INT:
        return leb128.signed(value)
    if kind is TEXT:
        written = value.encode()
        return leb128.unsigned(len(written)) + bytes(written)
    if kind is PRINCIPAL:
        return b"\x01" + leb128.unsigned(len(value)) + bytes(value)
    if kind.width:
        return int(value).to_bytes(kind.width, "little", signed=kind.name.startswith("int"))
    raise TypeError(f"a value of type {kind.name} cannot be written")
