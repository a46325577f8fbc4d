"""Reading a whole list and saying whether that was all of it.

Rows are asked for in the order of their ids. A row that leaves the list moves the ones after it forward, and one of
them would fall between two pages unseen. So each page begins with the last row of the page before it; when it does
not, rows have moved, and the reading goes a page back. Rows are never ordered by their time of change, because a row
that is changed would jump over the end of the page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sync_pipelines.core.seal import Sweep
from sync_pipelines.systems.woocommerce.errors import MalformedRecord
from sync_pipelines.systems.woocommerce.session import Listing, Params, WooCommerceSession
from sync_pipelines.systems.woocommerce.values import BadValue
from sync_pipelines.systems.woocommerce.wire import utc_text

PAGE_SIZE = 100
"""The most rows that WooCommerce gives at a time; 101 are refused."""
MOST_STEPS_BACK = 20
"""Going back more often than this means that the list moves faster than it can be read, or ignores ``offset``."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Records by the time of their last change, or of their creation.

    A bound of WooCommerce is exclusive and in whole seconds; here the first one belongs to the window and the last one
    does not, so that windows can be put end to end. Records of the second ``until`` may still be changing.

    Attributes:
        since, until: aware times, cut to whole seconds; ``None`` for no bound.
        created: look at the time of creation instead, e.g. for what an unanswered create may have made.
    """

    since: datetime | None = None
    until: datetime | None = None
    created: bool = False

    def params(self) -> list[tuple[str, str]]:
        """Return the query: naive UTC with ``dates_are_gmt``, never a zone with it, which loses rows silently."""
        prefix = "" if self.created else "modified_"
        params = []
        if self.since is not None:
            params.append((f"{prefix}after", utc_text(self.since.replace(microsecond=0) - timedelta(seconds=1))))
        if self.until is not None:
            params.append((f"{prefix}before", utc_text(self.until)))
        return [*params, ("dates_are_gmt", "true")] if params else []


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list; none comes twice.

    Attributes:
        rows: records that could be read.
        malformed: the ones that could not. Each of them is a gap of the sweep as well: they are there all the same.
        total: number of records that the shop counted when it made this page.
    """

    rows: tuple[T, ...]
    malformed: tuple[MalformedRecord, ...]
    total: int


async def sweep_pages(
    session: WooCommerceSession,
    path: str,
    params: Params,
    parse: Callable[[Any], T],
    sweep: Sweep,
    *,
    page_size: int = PAGE_SIZE,
) -> AsyncIterator[Page[T]]:
    """Yield a whole list in the order of ids.

    Arguments:
        params: filters and ``_fields``; the order and the place are added.
        parse: makes a record of a row; raises ``BadValue``.
        sweep: told how many records there are and were seen, and why some may be missing. Several lists may fill one
            sweep after each other.

    Raises:
        PeerError: a page could not be read.
        ValueError: pages of fewer than two rows cannot overlap.
    """
    if page_size < 2:
        raise ValueError(f"page_size must be at least 2, got {page_size}")
    seen: set[int] = set()
    unnamed = offset = steps_back = 0
    while True:
        listing = await _page(session, path, params, offset, page_size)
        ids = [_id_of(row) for row in listing.rows]
        moved = offset > 0 and (not ids or ids[0] not in seen)
        fresh = [index for index, number in enumerate(ids) if number is None or number not in seen]
        if moved or (offset and not fresh and offset + len(ids) < listing.total):
            steps_back += 1
            if steps_back > MOST_STEPS_BACK:
                sweep.gaps.append(f"{path}: the list moved faster than it could be read, or ignores the offset")
                return
            # A page that brought nothing new is passed; one that does not join the page before it is read again.
            offset = max(0, offset - page_size + 1) if moved else offset + page_size - 1
            continue
        rows, malformed = _parsed(session, path, [(offset + index, listing.rows[index]) for index in fresh], parse)
        unnamed += sum(ids[index] is None for index in fresh)
        seen.update(number for number in ids if number is not None)
        sweep.seen += len(fresh)
        sweep.gaps += [f"{error.place}: {error.message}" for error in malformed]
        yield Page(rows, malformed, listing.total)
        if offset + len(ids) >= listing.total:
            break
        offset += page_size - 1
    read = len(seen) + unnamed
    # Rows that were read and have gone since are no gap; ones that appeared where the reading had passed are.
    sweep.declared = (sweep.declared or 0) + max(read, listing.total)
    if read > listing.total:
        sweep.notes.append(f"{path}: {read - listing.total} records left the list while it was read")


def ids_param(name: str, ids: Sequence[int]) -> tuple[str, str]:
    """Return a filter by ids. An empty one would be ignored and find everything."""
    if not ids or any(type(number) is not int or number <= 0 for number in ids):
        raise ValueError(f"{name} needs ids, got {list(ids)!r:.80}")
    return name, ",".join(map(str, ids))


async def _page(session: WooCommerceSession, path: str, params: Params, offset: int, size: int) -> Listing:
    place = [("orderby", "id"), ("order", "asc"), ("per_page", str(size))]
    if offset:
        place.append(("offset", str(offset)))
    return await session.list(path, [*params, *place])


def _parsed(
    session: WooCommerceSession, path: str, rows: Sequence[tuple[int, Any]], parse: Callable[[Any], T]
) -> tuple[tuple[T, ...], tuple[MalformedRecord, ...]]:
    records, malformed = [], []
    for place, row in rows:
        try:
            records.append(parse(row))
        except BadValue as error:
            malformed.append(malformed_record(session.operation("GET", path), f"{path}[{place}]", row, error))
    return tuple(records), tuple(malformed)


def malformed_record(operation: str, place: str, row: Any, error: BadValue) -> MalformedRecord:
    """Return the error for a row that cannot be read, with the value's place in the answer."""
    place = f"{place}.{error.path}" if error.path else place
    return MalformedRecord(place, _id_of(row), error.problem, operation=operation)


def _id_of(row: Any) -> int | None:
    number = row.get("id") if isinstance(row, dict) else None
    return number if type(number) is int and number > 0 else None
