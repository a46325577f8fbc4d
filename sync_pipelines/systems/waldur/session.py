"""Requests to Waldur with one token: paths, headers, classified answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, READ_DELAY, Transport
from sync_pipelines.systems.waldur.errors import read_answer, unexpected_shape

PEER = "waldur"
OFFERINGS = "marketplace-provider-offerings/"
PLANS = "marketplace-plans/"

# A missing database shows as 500, so the breaker has to count it.
_BREAKING_STATUSES = frozenset({500, 502, 503, 504})

Params = Sequence[tuple[str, str]]


def waldur_transport(
    base_url: str,
    token: str,
    *,
    throttle: Throttle | None = None,
    redactor: Redactor | None = None,
    timeout: httpx.Timeout = DEFAULT_TIMEOUT,
    verify: Any = True,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return a transport that sends the token. To be closed by the caller.

    Arguments:
        base_url: address of the server, with or without ``/api`` at its end.
        token: 40 hex digits; ``Bearer`` would be refused by 7.0.
        redactor: by default one that knows the token.
        read_delay: seconds before a read that failed is sent again.
    """
    return Transport(
        PEER,
        base_url,
        headers={"Authorization": f"Token {token}"},
        timeout=timeout,
        throttle=throttle,
        redactor=redactor or Redactor([token]),
        verify=verify,
        read_delay=read_delay,
        breaking_statuses=_BREAKING_STATUSES,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list.

    Attributes:
        rows: JSON objects.
        total: number of objects on all pages, from ``X-Result-Count``.
    """

    rows: list[Any]
    total: int


class WaldurSession:
    """Reads and writes with one token.

    Arguments:
        transport: carries the ``Authorization`` header; closed by whoever made it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._root = "" if transport.base_path.endswith("/api") else "/api"

    async def read(self, path: str, params: Params = ()) -> Any:
        """Return the JSON of an object below ``/api/``."""
        operation, response = await self._send("GET", path, params=params, write=False)
        value = self._answer(operation, response, write=False)
        if value is None:
            raise unexpected_shape(PEER, operation, write=False, reason="an empty body")
        return value

    async def list(self, path: str, params: Params = ()) -> Listing:
        """Return one page. Raises ``PeerError`` when the server does not say how many objects there are."""
        operation, response = await self._send("GET", path, params=params, write=False)
        rows = self._answer(operation, response, write=False)
        if not isinstance(rows, list):
            raise unexpected_shape(PEER, operation, write=False, reason="a list was expected")
        count = response.headers.get("X-Result-Count", "")
        if not count.isdecimal():
            message = "no X-Result-Count header: completeness cannot be proven; does a proxy remove it?"
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation=operation)
        return Listing(rows, int(count))

    async def write(self, path: str, body: Any = None) -> Any:
        """Post JSON below ``/api/`` and return the JSON answered, ``None`` for an empty body."""
        # A post without a body carries no Content-Type, which some endpoints answer with 415.
        operation, response = await self._send("POST", path, json={} if body is None else body, write=True)
        return self._answer(operation, response, write=True)

    async def delete(self, path: str) -> None:
        """Delete the object below ``/api/``."""
        operation, response = await self._send("DELETE", path, write=True)
        self._answer(operation, response, write=True)

    async def _send(
        self, method: str, path: str, *, params: Params = (), json: Any = None, write: bool
    ) -> tuple[str, httpx.Response]:
        # Without the slash a POST is redirected and would arrive as GET.
        assert path.endswith("/"), path
        full_path = f"{self._root}/{path}"
        response = await self._transport.request(method, full_path, params=list(params) or None, json=json, write=write)
        return f"{method} {full_path}", response

    def _answer(self, operation: str, response: httpx.Response, *, write: bool) -> Any:
        return read_answer(PEER, operation, response, write=write, redactor=self._transport.redactor)
