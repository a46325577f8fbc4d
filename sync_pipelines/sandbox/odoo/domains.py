"""Search domains: lists in prefix notation of conditions, turned into a test of rows and a short list of candidates."""

from __future__ import annotations

import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo import dates
from sync_pipelines.sandbox.odoo.errors import OdooError, value_error
from sync_pipelines.sandbox.odoo.fields import Field
from sync_pipelines.sandbox.odoo.tables import Row

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.environment import Env
    from sync_pipelines.sandbox.odoo.records import Model

Test = Callable[[Row], bool]
Condition = tuple[str, str, Any]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SAME = {"==": "=", "<>": "!="}
_PATTERNS = ("like", "ilike", "=like", "=ilike")
_NEGATED = {"!=": "=", "not in": "in", "not like": "like", "not ilike": "ilike", "not any": "any"}
_KNOWN = frozenset((*_COMPARISONS, *_PATTERNS, *_NEGATED, "=", "in", "=?", "child_of", "parent_of", "any"))


@dataclass(frozen=True, slots=True)
class Search:
    """A domain made ready.

    Attributes:
        test: whether a row is found; ``None`` finds all.
        candidates: ids among which the found rows are, ascending.
    """

    test: Test | None
    candidates: Sequence[int]

    def found(self, model: Model) -> Iterator[Row]:
        """Yield the rows found, by ascending id."""
        rows = model.table.rows
        for row_id in self.candidates:
            row = rows.get(row_id)
            if row is not None and (self.test is None or self.test(row)):
                yield row


def prepared(env: Env, model: Model, domain: Any) -> Search:
    """Make a domain ready; archived records are left out unless the context or the domain says otherwise.

    Raises:
        OdooError: the domain cannot be understood, or names a field that is not there.
    """
    terms = _terms(domain)
    if "active" in model.fields and env.active_test and not any(_names(term, "active") for term in terms):
        terms = [*_grouped(terms), ("active", "=", True)]
    tests: list[Test] = []
    narrow: list[Condition] = []
    rest = list(terms)
    while rest:
        test, rest, condition = _parsed(env, model, rest)
        if condition is None or not _is_exact(model, condition):
            tests.append(test)
        if condition is not None:
            narrow.append(condition)
    return Search(_all(tests), _candidates(model, narrow))


def _terms(domain: Any) -> list[Any]:
    if not isinstance(domain, list | tuple):
        raise OdooError("builtins.TypeError", f"Domain() invalid argument type for domain: {domain!r}")
    terms: list[Any] = []
    for term in domain:
        if isinstance(term, str) and term in ("&", "|", "!"):
            terms.append(term)
        elif isinstance(term, list | tuple) and len(term) == 3 and isinstance(term[1], str):
            terms.append((term[0], _SAME.get(term[1], term[1]), term[2]))
        else:
            raise value_error(f"Domain() invalid item in domain: {term!r}")
    return terms


def _names(term: Any, name: str) -> bool:
    return isinstance(term, tuple) and term[0] == name


def _grouped(terms: list[Any]) -> list[Any]:
    """Refuse a domain whose operators lack operands, before something is added to its end."""
    wanted = 0
    for term in reversed(terms):
        wanted += 1 if isinstance(term, tuple) else 0 if term == "!" else -1
        if wanted < 1:
            raise value_error(f"Domain() malformed: {terms!r}")
    return terms


def _parsed(env: Env, model: Model, terms: list[Any], negate: bool = False) -> tuple[Test, list[Any], Condition | None]:
    """Read one expression; returns its test, what follows it, and the condition when it is a plain one."""
    if not terms:
        raise value_error("Domain() malformed")
    head, rest = terms[0], terms[1:]
    if head == "!":
        test, rest, _ = _parsed(env, model, rest, not negate)
        return test, rest, None
    if head in ("&", "|"):
        left, rest, _ = _parsed(env, model, rest, negate)
        right, rest, _ = _parsed(env, model, rest, negate)
        if (head == "&") is not negate:
            return (lambda row: left(row) and right(row)), rest, None
        return (lambda row: left(row) or right(row)), rest, None
    return _condition(env, model, head, negate), rest, None if negate else head


def _condition(env: Env, model: Model, term: Condition, negate: bool) -> Test:
    path: Any = term[0]
    name, value = term[1:]
    if name not in _KNOWN:
        raise value_error(f"Invalid operator in condition {term!r}")
    if isinstance(path, bool) or path in (0, 1):
        return lambda row: bool(path == value) is not negate
    first, _, further = str(path).partition(".")
    field = model.fields.get(first)
    if field is None:
        raise value_error(f"Invalid field {model.name}.{first} in condition {term!r}")
    if name in _NEGATED:
        name, negate = _NEGATED[name], not negate
    get = model.getter(env, first)
    if further or name == "any":
        target = env[field.relation]
        inner = [(further, name, value)] if further else value
        found = prepared(env.within(active_test=False) if further else env, target, inner)
        ids = {row["id"] for row in found.found(target)}
        return lambda row: (not ids.isdisjoint(_many(get(row)))) is not negate
    if name in ("child_of", "parent_of"):
        family = _family(env, model if first == "id" else env[field.relation], value, name == "child_of")
        return lambda row: (not family.isdisjoint(_many(get(row)))) is not negate
    if name in _COMPARISONS:
        return _comparison(env, field, get, name, value, negate)
    test = _matching(env, field, get, name, value)
    return (lambda row: not test(row)) if negate else test


def _comparison(env: Env, field: Field, get: Callable[[Row], Any], name: str, value: Any, negate: bool) -> Test:
    """Compare; an empty column is neither above nor below anything, not even when negated."""
    compare = _COMPARISONS[name]
    if value is None or value is False:
        return lambda row: False
    if field.type == "datetime":
        moment = dates.asked(value)
        if env.world.compares_whole_seconds:
            return lambda row: bool(get(row)) and compare(str(get(row))[:19], moment) is not negate
        exact = f"{moment}.000000"
        return lambda row: bool(get(row)) and compare(get(row), exact) is not negate
    if field.type in ("integer", "float", "monetary"):
        number = float(value)
        return lambda row: compare(get(row) or 0, number) is not negate
    return lambda row: get(row) is not None and compare(get(row), value) is not negate


def _matching(env: Env, field: Field, get: Callable[[Row], Any], name: str, value: Any) -> Test:
    if name == "=?":
        return (lambda row: True) if value in (None, False) else _matching(env, field, get, "=", value)
    if name in _PATTERNS:
        pattern = _pattern(name, value)
        if field.relation:
            target = env[field.relation]
            texts = {row["id"]: str(target.display(env, row)) for row in target.table.rows.values()}
            return lambda row: any(pattern(texts.get(one, "")) for one in _many(get(row)))
        return lambda row: pattern(str(get(row) or ""))
    values = list(value) if name == "in" and isinstance(value, list | tuple) else [value]
    wanted = {_comparable(env, field, one) for one in values}
    if field.relation:
        wanted |= {found for one in values if isinstance(one, str) for found in _named(env, field, one)}
        if field.is_many:
            return lambda row: not wanted.isdisjoint(get(row) or (None,))
        return lambda row: get(row) in wanted
    if field.type == "datetime":
        return lambda row: (get(row) or "")[:19] in wanted or (None in wanted and not get(row))
    if field.type in ("char", "text", "html", "selection", "date"):
        # An empty text counts as no value: a search for False finds both.
        return lambda row: (get(row) or None) in wanted
    if field.type == "boolean":
        return lambda row: bool(get(row)) in wanted
    return lambda row: (get(row) or 0) in wanted


def _comparable(env: Env, field: Field, value: Any) -> Any:
    if field.type == "boolean":
        return bool(value)
    if field.type in ("integer", "float", "monetary"):
        return value or 0
    if value is None or value is False or value == "":
        return None
    return dates.asked(value) if field.type == "datetime" else value


def _named(env: Env, field: Field, text: str) -> list[int]:
    return [found for found, _ in env[field.relation].name_search(env.within(active_test=False), text, operator="=")]


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)


def _pattern(name: str, value: Any) -> Callable[[str], bool]:
    text = str(value or "")
    if not name.startswith("=") and not {"%", "_", "\\"} & set(text):
        if name == "like":
            return lambda found: text in found
        lowered = text.lower()
        return lambda found: lowered in found.lower()
    wild = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in text)
    whole = wild if name.startswith("=") else f".*{wild}.*"
    expression = re.compile(whole, re.DOTALL | (re.IGNORECASE if name.endswith("ilike") else 0))
    return lambda found: expression.fullmatch(found) is not None


def _family(env: Env, model: Model, value: Any, down: bool) -> set[int]:
    members = {one for one in _many(value) if isinstance(one, int)}
    grown = True
    while grown:
        if down:
            more = {row["id"] for row in model.table.rows.values() if row.get("parent_id") in members}
        else:
            more = {model.table.rows[one].get("parent_id") for one in members if one in model.table.rows} - {None}
        grown = not more <= members
        members |= more
    return members


def _all(tests: list[Test]) -> Test | None:
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _is_exact(model: Model, condition: Condition) -> bool:
    """Whether the candidates alone answer a condition."""
    path, name, value = condition
    return path == "id" and name in (">", ">=", "<", "<=") and type(value) is int


def _candidates(model: Model, conditions: list[Condition]) -> Sequence[int]:
    """Return ids by the conditions that an index answers: a page by id costs what the page costs."""
    table = model.table
    low, high = 0, len(table.ids)
    chosen: Sequence[int] | None = None
    for path, name, value in conditions:
        if path == "id" and type(value) is int and name in (">", ">=", "<", "<="):
            bound = bisect_right if name in (">", "<=") else bisect_left
            if name.startswith(">"):
                low = max(low, bound(table.ids, value))
            else:
                high = min(high, bound(table.ids, value))
        elif name in ("=", "in") and (path == "id" or table.is_indexed(path)):
            found = _indexed(model, path, value if name == "in" else [value])
            if found is not None and (chosen is None or len(found) < len(chosen)):
                chosen = found
    if chosen is None:
        return range_of(table.ids, low, high)
    allowed = (table.ids[low] if low < len(table.ids) else 1 << 62, table.ids[high - 1] if high else -1)
    return [one for one in chosen if allowed[0] <= one <= allowed[1]]


def range_of(ids: list[int], low: int, high: int) -> Sequence[int]:
    """Return a stretch of the ids; the whole without a copy."""
    return ids if (low, high) == (0, len(ids)) else ids[low:high]


def _indexed(model: Model, path: str, values: Any) -> list[int] | None:
    if not isinstance(values, list | tuple):
        return None
    if path == "id":
        return sorted({one for one in values if type(one) is int and one in model.table.rows})
    wanted = int if model.fields[path].relation else str
    if not all(type(one) is wanted and one for one in values):
        return None
    return sorted({row_id for one in values for row_id in model.table.having(path, one)})
