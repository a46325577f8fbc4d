"""Reading many rows, page by page in the order of their ids, and saying whether those were all.

Paging by offset loses rows while others come and go. A page that begins behind the last id of the one before cannot
lose a row that is there the whole time. What can be missed is a row whose id was drawn early and which was committed
late; so the rows are counted at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.seal import Sweep
from sync_pipelines.systems.odoo.calls import Call, Calls
from sync_pipelines.systems.odoo.errors import MalformedRow, OdooError, Reason, unexpected_shape
from sync_pipelines.systems.odoo.parsing import Entity, T, parse_rows
from sync_pipelines.systems.odoo.values import record_id, wire_time

PAGE_SIZE = 500
MAX_PAGE_SIZE = 1000
"""1000 partners take 50 ms, and a page of products with their stock some 0.4 s."""
ID_PAGE_SIZE = 10_000
OVERLAP = timedelta(minutes=5)
"""How far a window reaches back, by default. It must be longer than the longest transaction: ``write_date`` is a
transaction's start, and its rows are seen at its end; the server ends a request after 2 minutes."""

Domain = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, with the ones that cannot be read apart."""

    rows: tuple[T, ...]
    malformed: tuple[MalformedRow, ...] = ()


def window(since: datetime, overlap: timedelta = OVERLAP) -> Domain:
    """Return the domain of what changed since a moment of the server's time, and a little before.

    What was read the last time comes again: compare contents. The bound itself is included, as rows share seconds.

    Arguments:
        since: when the last window was read, by the server's clock.
        overlap: longer than the longest transaction of the database.
    """
    return [["write_date", ">=", wire_time(since - overlap)]]


async def sweep_rows(
    calls: Calls,
    entity: Entity[T],
    sweep: Sweep,
    *,
    fields: Sequence[str] | None = None,
    domain: Domain = (),
    page_size: int = PAGE_SIZE,
    count: bool = True,
    context: Mapping[str, Any] | None = None,
) -> AsyncIterator[Page[T]]:
    """Yield the rows of a model, archived ones included, in the order of their ids.

    Arguments:
        sweep: filled in while reading: rows seen, rows declared, gaps. A row that cannot be read is a gap: it is there,
            though nothing is known of it.
        fields: by default those of the entity. A field that the server does not have is a permanent error.
        domain: which rows, by default all.
        page_size: 1 to 1000; 200 and more are best.
        count: whether to count at the end, as a sweep of everything must. A window moves while it is read.
        context: added to the call's.

    Raises:
        PeerError: a page could not be read.
    """
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise ValueError(f"a page has 1 to {MAX_PAGE_SIZE} rows")
    names = list(entity.fields if fields is None else fields)
    looking = _looking(context)
    last, ended = 0, False
    while not ended:
        rows = await calls.call(
            entity.model,
            "search_read",
            domain=[*domain, ["id", ">", last]],
            fields=names,
            order="id",
            limit=page_size,
            context=looking,
        )
        ids = _ids(entity.model, "search_read", rows)
        problem = _disorder(ids, last, page_size)
        if problem:
            sweep.gaps.append(f"{entity.model}: {problem}")
            return
        good, malformed = parse_rows(entity, rows)
        sweep.seen += len(ids)
        sweep.gaps += [f"{row.key}: {row.message}" for row in malformed]
        ended = len(ids) < page_size
        last = ids[-1] if ids else last
        if ids:
            yield Page(good, malformed)
    if count:
        sweep.declared = (sweep.declared or 0) + await counted(calls, entity.model, domain, context=context)


async def listed_ids(
    calls: Calls,
    model: str,
    sweep: Sweep,
    *,
    domain: Domain = (),
    page_size: int = ID_PAGE_SIZE,
    context: Mapping[str, Any] | None = None,
) -> list[int]:
    """Return the ids of all rows, archived ones included. A removed row leaves no other trace than its absence here.

    Arguments:
        sweep: filled in as :func:`sweep_rows` does. Nothing may be concluded from it unless it is sealed.
    """
    looking = _looking(context)
    found: list[int] = []
    while True:
        last = found[-1] if found else 0
        ids = await calls.call(
            model, "search", domain=[*domain, ["id", ">", last]], order="id", limit=page_size, context=looking
        )
        if not isinstance(ids, list) or any(type(record) is not int for record in ids):
            raise unexpected_shape(Call(model, "search"), "not a list of ids")
        problem = _disorder(ids, last, page_size)
        if problem:
            sweep.gaps.append(f"{model}: {problem}")
            return found
        found += ids
        sweep.seen += len(ids)
        if len(ids) < page_size:
            break
    sweep.declared = (sweep.declared or 0) + await counted(calls, model, domain, context=context)
    return found


async def counted(calls: Calls, model: str, domain: Domain = (), *, context: Mapping[str, Any] | None = None) -> int:
    """Return the number of rows, archived ones included."""
    total = await calls.call(model, "search_count", domain=list(domain), context=_looking(context))
    if type(total) is not int or total < 0:
        raise unexpected_shape(Call(model, "search_count"), "not a number of rows")
    return total


async def read_rows(
    calls: Calls,
    entity: Entity[T],
    ids: Sequence[int],
    *,
    fields: Sequence[str] | None = None,
    page_size: int = PAGE_SIZE,
    context: Mapping[str, Any] | None = None,
) -> Page[T]:
    """Return the rows of these ids, archived or not. One that is gone is left out, without an error."""
    names = list(entity.fields if fields is None else fields)
    rows: list[Any] = []
    for start in range(0, len(ids), page_size):
        wanted = list(ids[start : start + page_size])
        answer = await calls.call(entity.model, "read", ids=wanted, fields=names, context=context or {})
        if not set(_ids(entity.model, "read", answer)) <= set(wanted):
            raise unexpected_shape(Call(entity.model, "read"), "rows that were not asked for")
        rows += answer
    return Page(*parse_rows(entity, rows))


async def find_rows(
    calls: Calls,
    entity: Entity[T],
    domain: Domain,
    *,
    fields: Sequence[str] | None = None,
    limit: int = PAGE_SIZE,
    context: Mapping[str, Any] | None = None,
) -> Page[T]:
    """Return the rows that a domain finds, archived ones included, oldest first.

    Raises:
        PeerError: the rows are more than ``limit``, or the answer is none.
    """
    call = Call(entity.model, "search_read")
    rows = await calls.call(
        call.model,
        call.method,
        domain=list(domain),
        fields=list(entity.fields if fields is None else fields),
        order="id",
        limit=limit + 1,
        context=_looking(context),
    )
    if len(_ids(call.model, call.method, rows)) > limit:
        message = f"more than {limit} rows are found; is the domain applied?"
        raise OdooError(FailureKind.PERMANENT, Reason.MALFORMED, message, operation=call.operation)
    return Page(*parse_rows(entity, rows))


async def known_fields(calls: Calls, model: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return those of the wanted fields that the server has and shows to this user, in the same order.

    One unknown field makes a read fail as a whole, and fields come and go with versions and modules.
    """
    answer = await calls.call(model, "fields_get", allfields=list(wanted), attributes=["type"])
    if not isinstance(answer, dict):
        raise unexpected_shape(Call(model, "fields_get"), "not a table of fields")
    return tuple(name for name in wanted if name in answer)


def raise_malformed(page: Page[Any]) -> None:
    """Raise the first row that cannot be read, where each one counts."""
    for row in page.malformed:
        raise row


def _looking(context: Mapping[str, Any] | None) -> dict[str, Any]:
    # An archived row is not gone: without this it would look deleted.
    return {"active_test": False, **(context or {})}


def _ids(model: str, method: str, rows: Any) -> list[int]:
    try:
        if not isinstance(rows, list):
            raise ValueError("not a list of rows")
        return [record_id(row) for row in rows]
    except ValueError as problem:
        raise unexpected_shape(Call(model, method), str(problem)) from None


def _disorder(ids: Sequence[int], last: int, page_size: int) -> str | None:
    if len(ids) > page_size:
        return f"{len(ids)} rows came in a page of {page_size}: the limit is not applied"
    for record in ids:
        if record <= last:
            return f"row {record} came after row {last}: the order or the domain is not applied, so rows may be missing"
        last = record
    return None
