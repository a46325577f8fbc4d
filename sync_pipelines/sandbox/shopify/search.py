"""Searches and cursors of a list, as the index of the shop answers them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError

MOST_OF_ONE_QUERY = 25_000
LARGEST_PAGE = 250

_TERM = re.compile(r"(updated_at|created_at|id):(>=|<=|>|<|)('[^']*'|\S+)")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": lambda found, bound: bool(found >= bound),
    "<=": lambda found, bound: bool(found <= bound),
    ">": lambda found, bound: bool(found > bound),
    "<": lambda found, bound: bool(found < bound),
    "": lambda found, bound: bool(found == bound),
}

Entry = Mapping[str, Any]
"""What the index knows of a record: ``id`` (number), ``updated_at``, ``created_at``."""


def matcher(query: str | None) -> Callable[[Entry], bool]:
    """Return what a search asks of a record.

    Raises:
        GraphQLError: the search is not understood. A real shop would leave out what it does not understand.
    """
    terms = []
    for part in (query or "").split(" AND ") if query else []:
        term = _TERM.fullmatch(part.strip())
        if term is None:
            raise GraphQLError(f"the stand-in does not understand the search {part!r}")
        terms.append((term[1], _COMPARED[term[2]], _bound(term[1], term[3])))
    return lambda entry: all(compare(entry[field], bound) for field, compare, bound in terms)


def _bound(field: str, text: str) -> Any:
    if field == "id":
        return int(text)
    quoted = text.startswith("'")
    # Without quotes the time of day is dropped, and nobody is told.
    moment = datetime.fromisoformat(text.strip("'") if quoted else text[:10])
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def page(entries: Sequence[Entry], field: str, first: int | None, after: str | None) -> tuple[list[Entry], str | None]:
    """Return a page of a list in ascending order, and the cursor of its end when there is more.

    Raises:
        GraphQLError: no or too large a page, an unknown cursor, or the end of what one query may page through.
    """
    if first is None:
        raise GraphQLError("you must provide one of first or last")
    if not 0 < first <= LARGEST_PAGE:
        raise GraphQLError(f"first must be from 1 to {LARGEST_PAGE}")
    ordered = sorted(entries, key=lambda entry: (entry[field], entry["id"]))
    passed = 0
    if after is not None:
        *place, passed = _place(after)
        ordered = [entry for entry in ordered if [entry[field], entry["id"]] > place]
    if passed + first > MOST_OF_ONE_QUERY and len(ordered) > first:
        raise GraphQLError(f"a query cannot page beyond {MOST_OF_ONE_QUERY} objects")
    found = ordered[:first]
    if len(ordered) <= first:
        return found, None
    place = [found[-1][field], found[-1]["id"], passed + len(found)]
    return found, base64.b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str) -> list[Any]:
    try:
        place = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError):
        place = None
    if not isinstance(place, list) or len(place) != 3:
        raise GraphQLError("Invalid cursor for current pagination sort.")
    return place
