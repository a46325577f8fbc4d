"""Lists page by page, in ascending order of what they are asked by.

A record that changes meanwhile moves to the end of a list that goes by time of change: it is seen twice, never lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.shopify.resources import ListField, Resource
from sync_pipelines.systems.shopify.session import ShopifySession, TooCostly

MOST_OF_ONE_QUERY = 24_000
"""Paging of one query ends at 25,000 records; before that it is asked anew from where it stands."""
IDS_PER_PAGE = 250
_IN_NODE: Mapping[str, str] = {"updated_at": "updatedAt", "created_at": "createdAt", "id": "id"}

Node = dict[str, Any]


def search_time(moment: datetime) -> str:
    """Return a time as searches take it: in UTC, and quoted, or the time of day would be left out silently."""
    return f"'{moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"


@dataclass(frozen=True, slots=True)
class Range:
    """Which records of a list are asked for, and in which order.

    Attributes:
        field: what they are asked by.
        first: included; for ids not included.
        last: not included.
    """

    field: ListField = "updated_at"
    first: datetime | int | None = None
    last: datetime | None = None

    @property
    def search(self) -> str | None:
        """The range in the language of searches; ``None`` for everything."""
        parts = []
        if isinstance(self.first, int):
            parts.append(f"{self.field}:>{self.first}")
        elif self.first is not None:
            parts.append(f"{self.field}:>={search_time(self.first)}")
        if self.last is not None:
            parts.append(f"{self.field}:<{search_time(self.last)}")
        return " AND ".join(parts) or None

    def after(self, node: Mapping[str, Any]) -> Range:
        """Return the rest of the range behind a record; records of the same time are in it once more."""
        if self.field == "id":
            return replace(self, first=int(number_of(node["id"])))
        return replace(self, first=datetime.fromisoformat(node[_IN_NODE[self.field]]))


def number_of(gid: str) -> str:
    """Return the number in an id such as ``gid://shopify/Order/5910``.

    Raises:
        ValueError: it is none.
    """
    number = gid.rpartition("/")[2].partition("?")[0]
    if not number.isdecimal():
        raise ValueError(f"{gid!r} is no id of Shopify")
    return number


class Reader:
    """Reads one list of a shop. All methods raise ``PeerError``."""

    def __init__(self, session: ShopifySession, resource: Resource) -> None:
        self._session = session
        self._resource = resource
        self._first = resource.first

    async def pages(self, wanted: Range) -> AsyncIterator[list[Node]]:
        """Yield records, each with its whole list inside, whose ``pageInfo`` is of no more use."""
        document = self._resource.page_query()
        async for page in self._paged(document, wanted, {"inner": self._resource.inner_first}, ids=False):
            whole = [node for node in [await self._completed(node) for node in page] if node is not None]
            yield whole

    async def ids(self) -> AsyncIterator[list[str]]:
        """Yield the numbers of all records, ascending."""
        async for page in self._paged(self._resource.ids_query(), Range("id"), {}, ids=True):
            try:
                yield [number_of(node["id"]) for node in page]
            except (KeyError, ValueError) as error:
                raise self._unexpected(str(error)) from None

    async def _paged(
        self, document: str, wanted: Range, more: Mapping[str, Any], *, ids: bool
    ) -> AsyncIterator[list[Node]]:
        after, seen = None, 0
        while True:
            variables = {**more, "after": after, "query": wanted.search, "sort": wanted.field.upper()}
            page = await self._page(document, variables, ids)
            nodes, info = _connection(page.get(self._resource.name))
            if nodes is None:
                raise self._unexpected("a list was expected")
            yield nodes
            seen += len(nodes)
            if not info.get("hasNextPage"):
                return
            after = info.get("endCursor")
            if not after or not nodes:
                raise self._unexpected("there is a next page, and nothing that leads to it")
            if seen >= MOST_OF_ONE_QUERY:
                wanted, after, seen = self._further(wanted, nodes[-1]), None, 0

    async def _page(self, document: str, variables: Mapping[str, Any], ids: bool) -> Mapping[str, Any]:
        while True:
            first = IDS_PER_PAGE if ids else self._first
            try:
                return await self._session.query(document, {**variables, "first": first})
            except TooCostly:
                # How costs are counted changes with the versions: the peer knows best.
                if ids or self._first == 1:
                    raise
                self._first //= 2

    def _further(self, wanted: Range, last: Node) -> Range:
        try:
            further = wanted.after(last)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unexpected(str(error)) from None
        if further.first == wanted.first:
            raise self._session.transport.error(
                FailureKind.PERMANENT,
                f"more than {MOST_OF_ONE_QUERY} {self._resource.name} have the same {wanted.field}; paging ends there",
            )
        return further

    async def _completed(self, node: Node) -> Node | None:
        """Return a record with the further pages of its list inside; ``None`` when it was deleted meanwhile."""
        inner = self._resource.inner
        nodes, info = _connection(node.get(inner))
        if nodes is None:
            return node
        while info.get("hasNextPage"):
            variables = {"id": node["id"], "first": self._resource.inner_first * 5, "after": info.get("endCursor")}
            data = await self._session.query(self._resource.inner_query(), variables)
            record = data.get(self._resource.one)
            if record is None:
                return None
            further, info = _connection(record.get(inner))
            if not further:
                raise self._unexpected(f"a page of {inner} of {node['id']} is missing")
            nodes = [*nodes, *further]
        return {**node, inner: {"nodes": nodes}}

    def _unexpected(self, why: str) -> Exception:
        return self._session.transport.error(
            FailureKind.TRANSIENT, f"{self._resource.name}: the answer is not as described: {why}"
        )


def _connection(found: Any) -> tuple[list[Node] | None, Mapping[str, Any]]:
    if not isinstance(found, Mapping) or not isinstance(found.get("nodes"), list):
        return None, {}
    info = found.get("pageInfo")
    if not isinstance(info, Mapping) or not all(isinstance(node, dict) for node in found["nodes"]):
        return None, {}
    return found["nodes"], info
