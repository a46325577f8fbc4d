"""Reads values in Candid: by the types that travel with them, then into the types that are expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipelines.sandbox.internet_computer.candid_types import (
    BOOL,
    EMPTY,
    FUNC_CODE,
    INT,
    NAT,
    NAT8,
    NULL,
    OPT_CODE,
    PRIMITIVES,
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
from sync_pipelines.sandbox.internet_computer.leb128 import read_signed, read_unsigned

_MOST_TYPES = 10_000
_DEEPEST = 512


class CandidError(Exception):
    """Bytes that are no Candid, or of other types than expected."""


@dataclass(frozen=True, slots=True)
class _Wire:
    """A type that travelled: its code, and its parts as references, by field where it has fields."""

    code: int
    parts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """A value with the type it travelled with. ``value`` holds further ones."""

    wire: _Wire
    value: Any


def decode(data: bytes, types: Sequence[Type]) -> list[Any]:
    """Return values as the expected types.

    What was not expected is skipped; what is missing is ``None`` where it may be absent.

    Raises:
        CandidError: the bytes are no such values, or there are bytes left.
    """
    reader = _Reader(data)
    try:
        found = reader.arguments()
    except (ValueError, IndexError, RecursionError) as error:
        raise CandidError(f"Cannot parse the arguments: {error}") from None
    if reader.at != len(data):
        raise CandidError("Trailing value after finishing deserialization")
    missing = _Read(_Wire(NULL.code), None)
    return [_as(found[at] if at < len(found) else missing, kind) for at, kind in enumerate(types)]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._table: list[_Wire] = []

    def arguments(self) -> list[_Read]:
        if self._take(4) != b"DIDL":
            raise ValueError("wrong magic number")
        count = self._number()
        if count > _MOST_TYPES:
            raise ValueError("too many types")
        self._table = [self._row() for _ in range(count)]
        references = [self._reference() for _ in range(self._number())]
        return [self._value(reference, 0) for reference in references]

    def _row(self) -> _Wire:
        code = self._reference()
        if code in (OPT_CODE, VEC_CODE):
            return _Wire(code, ((0, self._reference()),))
        if code in (RECORD_CODE, VARIANT_CODE):
            fields = tuple((self._number(), self._reference()) for _ in range(self._number()))
            ids = [number for number, _ in fields]
            if ids != sorted(set(ids)):
                raise ValueError("field ids are not in order")
            return _Wire(code, fields)
        if code == FUNC_CODE:
            for _ in range(2):
                for _ in range(self._number()):
                    self._reference()
            self._take(self._number())
            return _Wire(code)
        raise ValueError(f"type {code} is not supported")

    def _value(self, reference: int, depth: int) -> _Read:
        if depth > _DEEPEST:
            raise ValueError("values nested too deeply")
        wire = self._table[reference] if reference >= 0 else _Wire(PRIMITIVES[self._known(reference)].code)
        return _Read(wire, self._content(wire, depth + 1))

    def _content(self, wire: _Wire, depth: int) -> Any:
        if wire.code in PRIMITIVES:
            return self._primitive(PRIMITIVES[wire.code])
        if wire.code == OPT_CODE:
            return self._value(wire.parts[0][1], depth) if self._flag() else None
        if wire.code == VEC_CODE:
            count, inner = self._number(), wire.parts[0][1]
            if inner == NAT8.code:
                return self._take(count)
            if count > len(self._data) - self.at:
                raise ValueError("a vector longer than the message")
            return [self._value(inner, depth) for _ in range(count)]
        if wire.code == RECORD_CODE:
            return {number: self._value(inner, depth) for number, inner in wire.parts}
        if wire.code == VARIANT_CODE:
            number, inner = wire.parts[self._number()]
            return number, self._value(inner, depth)
        if not self._flag():
            raise ValueError("opaque references are not supported")
        return self._primitive(PRINCIPAL), self._primitive(TEXT)

    def _primitive(self, kind: Primitive) -> Any:
        if kind is EMPTY:
            raise ValueError("there is no value of type empty")
        if kind in (NULL, RESERVED):
            return None
        if kind is BOOL:
            return self._flag()
        if kind is NAT:
            return self._number()
        if kind is INT:
            value, self.at = read_signed(self._data, self.at)
            return value
        if kind is TEXT:
            return self._take(self._number()).decode("utf-8")
        if kind is PRINCIPAL:
            if not self._flag():
                raise ValueError("opaque principals are not supported")
            return self._take(self._number())
        return int.from_bytes(self._take(kind.width), "little", signed=kind.name.startswith("int"))

    def _flag(self) -> bool:
        flag = self._take(1)[0]
        if flag > 1:
            raise ValueError(f"{flag} is neither 0 nor 1")
        return flag == 1

    def _number(self) -> int:
        value, self.at = read_unsigned(self._data, self.at)
        return value

    def _reference(self) -> int:
        value, self.at = read_signed(self._data, self.at)
        return value

    def _known(self, code: int) -> int:
        if code not in PRIMITIVES:
            raise ValueError(f"unknown type {code}")
        return code

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise ValueError("unexpected end of the message")
        self.at += count
        return self._data[self.at - count : self.at]


def _as(read: _Read, kind: Type) -> Any:
    """Return a value as the expected type."""
    kind = resolved(kind)
    code, value = read.wire.code, read.value
    match kind:
        case Opt(inner):
            return _as_opt(read, inner)
        case Vec(inner) if code == VEC_CODE:
            if isinstance(value, bytes) or (not value and inner is NAT8):
                return bytes(value)
            return [_as(one, inner) for one in value]
        case Record(fields) if code == RECORD_CODE:
            missing = _Read(_Wire(NULL.code), None)
            parts = {name: _as(value.get(field_id(name), missing), inner) for name, inner in fields.items()}
            return tuple(parts.values()) if kind.is_tuple else parts
        case Variant(fields) if code == VARIANT_CODE:
            for name, inner in fields.items():
                if field_id(name) == value[0]:
                    return {name: _as(value[1], inner)}
            raise CandidError(f"Subtyping error: unknown variant field {value[0]}")
        case QueryFunc() if code == FUNC_CODE:
            return value
        case Primitive() if code == kind.code or (kind is INT and code == NAT.code) or kind is RESERVED:
            return value
    raise CandidError(f"Subtyping error: type {code} where {type(kind).__name__} is expected")


def _as_opt(read: _Read, inner: Type) -> Any:
    if read.wire.code in (NULL.code, RESERVED.code) or read.value is None:
        return None
    found = read.value if read.wire.code == OPT_CODE else read
    try:
        return _as(found, inner)
    except CandidError:
        # What cannot be read as the expected type counts as absent: an interface may change under an option.
        return None
