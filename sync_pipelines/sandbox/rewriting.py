"""Listings that lie: rows left out, told twice, moved between pages, or counted wrongly.

What a listing looks like on the wire is for each stand-in to say, by a :class:`ListingShape`; the lies are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sync_pipelines.sandbox.exchange import Answer, with_header

Row = Any


class ListingShape(Protocol):
    """How rows and their total number travel in the answers of one system."""

    def rows(self, answer: Answer) -> list[Row] | None:
        """Return the rows of an answer, ``None`` when it is no listing."""
        ...

    def total(self, answer: Answer) -> int | None:
        """Return how many rows the answer says there are on all pages, ``None`` when it says nothing of it."""
        ...

    def rebuilt(self, answer: Answer, rows: Sequence[Row], total: int | None) -> Answer:
        """Return the answer with other rows and another total."""
        ...

    def with_field(self, row: Row, name: str, value: Any) -> Row:
        """Return a row in which a field has another value; :data:`REMOVED` leaves the field out."""
        ...


REMOVED = "\x00removed"
"""As value of a field: there is no such field."""


class Lie(StrEnum):
    """What becomes of the rows of a listing. ``count`` is that of the fault."""

    EMPTY = "empty"
    """No rows, and a total of 0."""
    SHORT = "short"
    """The first ``count`` rows are missing, and the total agrees with the rest."""
    HALF = "half"
    """Every second row is missing, and the total agrees with the rest."""
    OMITTED = "omitted"
    """The last ``count`` rows are missing; the total is the true one."""
    TOTAL = "total"
    """All rows; the total is ``count`` too large."""
    REPEATED = "repeated"
    """Each later page begins with the last row of the page before, in addition to its own."""
    MOVED = "moved"
    """Each later page begins with the last row of the page before, in place of its own first row."""
    COVERED = "covered"
    """Each page shows its first row again in place of its last one."""
    CIRCLE = "circle"
    """Every page is the first one, and more are always to come."""
    FIELD = "field"
    """The first ``count`` rows have ``value`` in ``field``."""


@dataclass(slots=True)
class Memory:
    """The rows of earlier pages, as the peer had them."""

    first: list[Row] = field(default_factory=list)
    last: list[Row] = field(default_factory=list)
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A lie with its measure.

    Attributes:
        lie: what becomes of the rows.
        count: how many rows, or how far off the total is.
        field, value: for :attr:`Lie.FIELD`.
    """

    lie: Lie
    count: int = 1
    field: str = ""
    value: Any = None


Lied = tuple[list[Row], int | None]


def rewritten(answer: Answer, shape: ListingShape, rewrite: Rewrite, memory: Memory) -> Answer:
    """Return the answer with its rows rewritten; one without rows is returned as it is."""
    rows = shape.rows(answer)
    if not rows:
        return answer
    total = shape.total(answer)
    memory.pages += 1
    memory.first = memory.first or rows
    if rewrite.lie is Lie.FIELD:
        marked = [shape.with_field(row, rewrite.field, rewrite.value) for row in rows[: rewrite.count]]
        told: Lied = marked + rows[rewrite.count :], total
    else:
        told = _LIES[rewrite.lie](rows, total, rewrite.count, memory)
    memory.last = rows
    return shape.rebuilt(answer, *told)


def _less(total: int | None, missing: int) -> int | None:
    return None if total is None else max(0, total - missing)


def _half(rows: list[Row], total: int | None, count: int, memory: Memory) -> Lied:
    return rows[1::2], None if total is None else total // 2


def _circle(rows: list[Row], total: int | None, count: int, memory: Memory) -> Lied:
    return memory.first, None if total is None else len(memory.first) * (memory.pages + 1)


_LIES: Mapping[Lie, Callable[[list[Row], int | None, int, Memory], Lied]] = {
    Lie.EMPTY: lambda rows, total, count, memory: ([], _less(total, total or 0)),
    Lie.SHORT: lambda rows, total, count, memory: (rows[count:], _less(total, count)),
    Lie.HALF: _half,
    Lie.OMITTED: lambda rows, total, count, memory: (rows[: max(0, len(rows) - count)], total),
    Lie.TOTAL: lambda rows, total, count, memory: (rows, None if total is None else total + count),
    Lie.REPEATED: lambda rows, total, count, memory: ([*memory.last[-1:], *rows], total),
    Lie.MOVED: lambda rows, total, count, memory: ([*memory.last[-1:], *rows[1 if memory.last else 0 :]], total),
    Lie.COVERED: lambda rows, total, count, memory: ([*rows[:-1], rows[0]], total),
    Lie.CIRCLE: _circle,
}


@dataclass(frozen=True, slots=True)
class JsonArray:
    """A bare JSON array of objects, with the total number in a header."""

    total_header: str

    def rows(self, answer: Answer) -> list[Row] | None:
        """Return the elements of the array."""
        if answer.status != 200 or not answer.body.startswith(b"["):
            return None
        found: list[Row] = json.loads(answer.body)
        return found

    def total(self, answer: Answer) -> int | None:
        """Return what the header says."""
        name = self.total_header.lower().encode("latin-1")
        return next((int(value) for header, value in answer.headers if header.lower() == name), None)

    def rebuilt(self, answer: Answer, rows: Sequence[Row], total: int | None) -> Answer:
        """Return the answer with another array."""
        # NaN is written as it is, although it is no JSON: some peers do so.
        rebuilt = answer.with_body(json.dumps(list(rows)).encode())
        if total is None:
            return rebuilt
        return Answer(rebuilt.status, with_header(rebuilt.headers, self.total_header, str(total)), rebuilt.body)

    def with_field(self, row: Row, name: str, value: Any) -> Row:
        """Return the object with a member set or left out."""
        return set_member(row, name, value)


def set_member(document: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return a JSON object with one member set, or left out when the value is :data:`REMOVED`."""
    rest = {key: other for key, other in document.items() if key != name}
    return rest if value == REMOVED else {**rest, name: value}
