"""Reading all offerings of a customer, page by page, and saying whether that was all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.waldur.errors import PageGone, unexpected_shape
from sync_pipelines.systems.waldur.models import WaldurOffering, uuid_hex
from sync_pipelines.systems.waldur.parsing import parse_offering
from sync_pipelines.systems.waldur.session import OFFERINGS, PEER, WaldurSession

MAX_PAGE_SIZE = 300
"""Waldur cuts larger sizes to this, silently."""

SLIM_FIELDS = (
    "uuid",
    "customer_uuid",
    "backend_id",
    "attributes",
    "state",
    "name",
    "description",
    "type",
    "category_uuid",
    "created",
)
"""Columns of the offering itself: 300 rows take some 0.24 s."""

FULL_FIELDS = (*SLIM_FIELDS, "shared", "components", "plans")
"""With components and prices: some 2.9 s per 100 rows, as each row costs the server queries of its own."""

_NEEDED = ("uuid", "customer_uuid")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a sweep.

    Attributes:
        number: from 1.
        rows: as read, nothing left out.
        total: number of offerings that the server counted when it made this page.
        last: no page follows.
        incomplete: on the last page, why the sweep cannot be taken for everything; ``None`` when it can.
    """

    number: int
    rows: tuple[WaldurOffering, ...]
    total: int
    last: bool
    incomplete: str | None = None


async def sweep(
    session: WaldurSession, customer_uuid: str, *, fields: Sequence[str] = SLIM_FIELDS, page_size: int = MAX_PAGE_SIZE
) -> AsyncIterator[Page]:
    """Yield the customer's offerings in all states, oldest first.

    Pages are asked for by number and never by the ``Link`` header, whose host is what a proxy makes of it. In the order
    of creation an insertion while reading neither repeats nor hides a row. A deletion moves later rows one place
    forward and can hide one behind a page's end, even when the counts agree because another was inserted. So after the
    last page the row before it is looked up by its place: if it is still there, nothing before it was deleted.

    Arguments:
        customer_uuid: whose offerings; every row is checked, as Waldur ignores filters that it does not know.
        fields: what to read; ``uuid`` and ``customer_uuid`` are always read.
        page_size: rows a page, at most 300.

    Raises:
        PeerError: a page could not be read, or shows another customer's offering.
    """
    customer = uuid_hex(customer_uuid)
    size = min(page_size, MAX_PAGE_SIZE)
    names = tuple(dict.fromkeys((*_NEEDED, *fields)))
    seen: list[str] = []
    known: set[str] = set()
    total = 0
    for number in count(1):
        try:
            rows, total = await _page(session, customer, names, size, number)
        except PageGone:
            if number == 1:
                raise
            yield Page(number, (), total, True, f"page {number} is gone: the list became shorter while it was read")
            return
        if rows and known.issuperset(row.uuid for row in rows):
            yield Page(number, rows, total, True, f"page {number} brought nothing new: the pages go round in a circle")
            return
        place = len(seen)
        seen += [row.uuid for row in rows]
        known.update(seen[place:])
        if rows and len(seen) < total:
            yield Page(number, rows, total, last=False)
            continue
        gap = _gap(seen, total)
        if gap is None and place and not await _still_at(session, customer, place, seen[place - 1]):
            gap = "an offering was deleted while the list was read, so another one may be missing"
        yield Page(number, rows, total, True, gap)
        return


def parse_rows(rows: Sequence[Any]) -> tuple[WaldurOffering, ...]:
    """Return the offerings of one page. Raises ``PeerError`` when one has an unexpected shape."""
    try:
        return tuple(parse_offering(row) for row in rows)
    except ValueError as error:
        raise unexpected_shape(PEER, f"GET /api/{OFFERINGS}", write=False, reason=str(error)) from None


def refuse_strangers(rows: Sequence[WaldurOffering], customer: str) -> None:
    """Raise ``PeerError`` when a row is not the customer's: the filter was not applied and nothing can be trusted."""
    for row in rows:
        if row.customer_uuid != customer:
            message = (
                f"filters are ignored by this server: asked for offerings of customer {customer}, "
                f"got {row.uuid} of customer {row.customer_uuid or '(none)'}"
            )
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation=f"GET /api/{OFFERINGS}")


async def _page(
    session: WaldurSession, customer: str, fields: Sequence[str], size: int, number: int
) -> tuple[tuple[WaldurOffering, ...], int]:
    params = [("customer_uuid", customer), ("o", "created"), ("page_size", str(size)), ("page", str(number))]
    listing = await session.list(OFFERINGS, [*params, *(("field", name) for name in fields)])
    rows = parse_rows(listing.rows)
    refuse_strangers(rows, customer)
    return rows, listing.total


async def _still_at(session: WaldurSession, customer: str, place: int, uuid: str) -> bool:
    try:
        rows, _ = await _page(session, customer, _NEEDED, 1, place)
    except PageGone:
        return False
    return [row.uuid for row in rows] == [uuid]


def _gap(seen: Sequence[str], total: int) -> str | None:
    if repeated := len(seen) - len(set(seen)):
        return f"{repeated} rows came twice, so as many may be missing"
    if len(seen) != total:
        return f"{len(seen)} rows were read, {total} were counted"
    return None
