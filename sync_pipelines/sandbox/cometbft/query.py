"""CometBFT's event query language: conditions joined by AND, nothing else.

``tag =|<|<=|>|>= value``, ``tag CONTAINS 'text'``, ``tag EXISTS``; values are 'text', a number, ``TIME ...`` or
``DATE ...``. There is no OR, no parenthesis, no negation and no negative number; error texts are those of a real node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

MAX_LENGTH = 512
_COMPARE = {"=": "= operator", "<": "< operator", "<=": "<= operator", ">": "> operator", ">=": ">= operator"}
_WORDS = {"AND": "AND operator", "CONTAINS": "CONTAINS operator", "EXISTS": "EXISTS operator"}
_OPERATORS = ("<= operator", ">= operator", "< operator", "> operator", "= operator", *list(_WORDS.values())[1:])
_ORDERED = ("number", "timestamp", "datestamp")
_VALUES = {"= operator": (*_ORDERED, "string"), "CONTAINS operator": ("string",), "EXISTS operator": ()}
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<timestamp>TIME\s+\d[\d:TZ.+-]*) | (?P<datestamp>DATE\s+\d{4}-\d\d-\d\d)
    | (?P<number>\d+(?:\.\d+)?) | (?P<tag>[\w.-]+) | '(?P<string>[^']*)' | (?P<compare>[<>]=?|=)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_Ordered = TypeVar("_Ordered", Decimal, datetime)


class QueryError(ValueError):
    """The query is not of the grammar. The text is the node's."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``tag operator value``; the operator is one of = < <= > >= CONTAINS EXISTS, the kind that of the value."""

    tag: str
    operator: str
    kind: str = ""
    value: str = ""

    def holds(self, found: str) -> bool:
        """Tell whether a value of the tag satisfies the condition."""
        match self.operator, self.kind:
            case "EXISTS", _:
                return True
            case "CONTAINS", _:
                return self.value in found
            case "=", "string":
                return found == self.value
            case _, "number":
                number = _NUMBER.search(found)
                return number is not None and _compare(self.operator, Decimal(number[0]), Decimal(self.value))
            case _:
                moment = _moment(found)
                return moment is not None and _compare(self.operator, moment, _moment(self.value))


def parse(text: str) -> tuple[Condition, ...]:
    """Return the conditions of a query.

    Raises:
        QueryError: the text is too long or not of the grammar.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError("maximum query length exceeded")
    tokens = _Tokens(text)
    conditions = [_condition(tokens)]
    while tokens.advance() is None:
        if tokens.kind != "AND operator":
            raise QueryError(f"offset {tokens.start}: got {tokens.kind}, want 6")
        conditions.append(_condition(tokens))
    if tokens.problem != "EOF":
        raise QueryError(f"offset {tokens.start}: got invalid token, want 6")
    return tuple(conditions)


def matches_flat(conditions: Iterable[Condition], values: Mapping[str, Sequence[str]]) -> bool:
    """Match as the event stream does: over all values of the transaction, whichever event they came from."""
    return all(any(condition.holds(value) for value in values.get(condition.tag, ())) for condition in conditions)


class _Tokens:
    """Scanner over the text: ``kind``, ``text`` and ``start`` of the present token, ``problem`` at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.start, self.kind, self.text, self.problem = 0, "invalid token", "", ""

    def advance(self) -> str | None:
        """Move to the next token; return the problem when there is none."""
        rest = self._text[self._end :]
        self.start = self._end + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.problem = "EOF"
            return self.problem
        found = _TOKEN.match(self._text, self._end)
        if found is None:
            character = self._text[self.start]
            if character == "'":
                self.problem = "EOF"
            else:
                self.problem = f"invalid input {character} at offset {self.start + 1}"
            return self.problem
        self._end = found.end()
        self.kind, self.text = _classify(found)
        return None

    def require(self, *kinds: str) -> None:
        """Move on and insist on one of the kinds."""
        if problem := self.advance():
            raise QueryError(f"offset {self.start}: {problem}")
        if self.kind not in kinds:
            wanted = ", ".join(kinds[:-1]) + " or " + kinds[-1] if len(kinds) > 1 else kinds[0]
            raise QueryError(f"offset {self.start}: got {self.kind}, wanted {wanted}")


def _classify(found: re.Match[str]) -> tuple[str, str]:
    kind = found.lastgroup or ""
    text = found[kind]
    if kind == "compare":
        return _COMPARE[text], text
    if kind == "tag" and text in _WORDS:
        return _WORDS[text], text
    if kind in ("timestamp", "datestamp"):
        return kind, text.split(maxsplit=1)[1]
    return kind, text


def _condition(tokens: _Tokens) -> Condition:
    tokens.require("tag")
    tag = tokens.text
    tokens.require(*_OPERATORS)
    name, operator = tokens.kind, tokens.text
    wanted = _VALUES.get(name, _ORDERED)
    if not wanted:
        return Condition(tag, operator)
    tokens.require(*wanted)
    return Condition(tag, operator, tokens.kind, tokens.text)


def _compare(operator: str, left: _Ordered, right: _Ordered | None) -> bool:
    if right is None:
        return False
    outcomes = {"=": left == right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return outcomes[operator]


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
