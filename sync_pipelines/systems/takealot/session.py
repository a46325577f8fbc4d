"""Requests to the Marketplace API with one key: paging and whole lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.takealot.errors import PEER, read_answer, unexpected_shape
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, READ_DELAY, Transport

URL = "https://marketplace-api.takealot.com/v1"
READINGS = 3
"""How often a list is read that turns out to be short."""

Params = Sequence[tuple[str, str]]


def takealot_transport(
    base_url: str,
    api_key: str,
    *,
    throttle: Throttle | None = None,
    timeout: httpx.Timeout = DEFAULT_TIMEOUT,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return a transport that sends the key. To be closed by the caller.

    Arguments:
        base_url: with the version at its end.
        read_delay: seconds before a read that failed is sent again.
    """
    return Transport(
        PEER,
        base_url,
        headers={"X-API-Key": api_key},
        # Limits are not documented, and keys of over-eager clients are reported to be blocked: one request at a time.
        max_in_flight=1,
        throttle=throttle,
        redactor=Redactor([api_key]),
        timeout=timeout,
        read_delay=read_delay,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list.

    Attributes:
        rows: JSON values.
        count: how many rows there are on all pages, when it was asked for.
        token: of the next page; ``None`` on the last.
    """

    rows: list[Any]
    count: int | None
    token: str | None


class TakealotSession:
    """Reads lists.

    Arguments:
        transport: carries the key; closed by whoever made it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def page(self, path: str, params: Params) -> Listing:
        """Return one page."""
        operation = f"GET {path}"
        response = await self._transport.request("GET", path, params=list(params), operation=operation)
        answer = read_answer(operation, response, self._transport.redactor)
        rows = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise unexpected_shape(operation, "no items")
        count, token = answer.get("count"), answer.get("continuation_token")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
            raise unexpected_shape(operation, "the count is no number")
        if token is not None and not isinstance(token, str):
            raise unexpected_shape(operation, "the continuation token is no text")
        # The end is told by the token's absence; clients have met an empty one, too.
        return Listing(rows, count, token or None)

    async def pages(self, path: str, params: Params) -> AsyncIterator[Listing]:
        """Yield all pages of a list. With a token all other parameters are ignored, so they are not sent again."""
        listing = await self.page(path, params)
        seen: set[str] = set()
        yield listing
        while listing.token is not None:
            if listing.token in seen:
                raise unexpected_shape(f"GET {path}", "the pages go in a circle")
            seen.add(listing.token)
            listing = await self.page(path, [("continuation_token", listing.token)])
            yield listing

    async def whole(
        self, path: str, params: Params, key: Callable[[Any], object], *, most: int | None = None
    ) -> list[Any] | None:
        """Return all rows of a list, each once, the last version of it.

        Pages are no snapshot: a row that goes away meanwhile moves others over the edge of a page, unseen. So the rows
        are counted, and a list that is short is read again.

        Arguments:
            key: what tells rows apart.
            most: for a longer list nothing more than its first page is read, and the result is ``None``.

        Raises:
            PeerError: also when the list was short each time.
        """
        for _ in range(READINGS):
            rows: dict[object, Any] = {}
            count = None
            async for listing in self.pages(path, [*params, ("include_count", "true")]):
                count = listing.count if count is None else count
                if most is not None and count is not None and count > most:
                    return None
                rows |= {key(row): row for row in listing.rows}
            if count is None or len(rows) >= count:
                return list(rows.values())
        message = f"the list was short {READINGS} times: {len(rows)} of {count} rows; it changes while it is read"
        raise PeerError(PEER, FailureKind.TRANSIENT, message, operation=f"GET {path}")
