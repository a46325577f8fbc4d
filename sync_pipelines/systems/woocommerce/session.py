"""Requests to one shop: paths, keys, classified answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import MAX_IN_FLIGHT, READ_DELAY, Transport
from sync_pipelines.systems.woocommerce.auth import Keys, OneLeggedOAuth
from sync_pipelines.systems.woocommerce.errors import PEER, Reason, WooCommerceError, read_answer, unexpected_shape

API = "/wp-json/wc/v3"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""A batch of 100 customers takes 10 s and more: each one costs the shop the hashing of a password."""

Params = Sequence[tuple[str, str]]
AuthWay = Literal["auto", "basic", "oauth"]


def woocommerce_transport(
    base_url: str,
    keys: Keys,
    *,
    auth: AuthWay = "auto",
    throttle: Throttle | None = None,
    redactor: Redactor | None = None,
    timeout: httpx.Timeout = TIMEOUT,
    max_in_flight: int = MAX_IN_FLIGHT,
    verify: Any = True,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return a transport that proves the keys. To be closed by the caller.

    A 500 does not count for the circuit breaker: WooCommerce answers so when one record makes it crash.

    Arguments:
        base_url: address of the shop, with or without ``/wp-json/wc/v3`` at its end. Over http it has to be the
            address that the shop has for itself, which is part of what is signed.
        auth: Basic for https and OAuth 1.0a for http by default; OAuth for https when a proxy in front of the shop
            unwraps TLS and does not tell it.
        redactor: by default one that knows the keys.
        read_delay: seconds before a read that failed is sent again.
    """
    oauth = auth == "oauth" or (auth == "auto" and urlsplit(base_url).scheme != "https")
    return Transport(
        PEER,
        base_url,
        auth=OneLeggedOAuth(keys) if oauth else httpx.BasicAuth(keys.key, keys.secret),
        timeout=timeout,
        max_in_flight=max_in_flight,
        throttle=throttle,
        redactor=redactor or Redactor([keys.key, keys.secret]),
        verify=verify,
        read_delay=read_delay,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of a list.

    Attributes:
        rows: JSON values.
        total: number of records that match, from ``X-WP-Total``. Past the end orders say 0.
        pages: ``X-WP-TotalPages``.
    """

    rows: list[Any]
    total: int
    pages: int


class WooCommerceSession:
    """Reads and writes below ``/wp-json/wc/v3/``. Each method raises ``PeerError``, classified by ``errors.py``.

    Arguments:
        transport: closed by whoever made it.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._root = "" if transport.base_path.endswith(API) else API

    def operation(self, method: str, path: str) -> str:
        """Return what errors call a request."""
        return f"{method} {self._root}/{path}"

    async def read(self, path: str, params: Params = ()) -> Any:
        """Return the JSON of an object or a plain list."""
        return self._answer("GET", path, await self._send("GET", path, params), write=False)

    async def list(self, path: str, params: Params = ()) -> Listing:
        """Return one answer of a list, with the totals that prove its completeness."""
        response = await self._send("GET", path, params)
        rows = self._answer("GET", path, response, write=False)
        operation = self.operation("GET", path)
        if not isinstance(rows, list):
            raise unexpected_shape(operation, write=False, reason="a list was expected")
        total, pages = (response.headers.get(name, "") for name in ("X-WP-Total", "X-WP-TotalPages"))
        if not (total.isdecimal() and pages.isdecimal()):
            message = "no X-WP-Total header: completeness cannot be proven; does a cache or a proxy remove it?"
            raise WooCommerceError(FailureKind.PERMANENT, message, reason=Reason.NO_ROUTE, operation=operation)
        return Listing(rows, int(total), int(pages))

    async def write(self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Params = ()) -> Any:
        """Send a write once and return the JSON answered."""
        response = await self._send(method, path, params, body, write=True)
        return self._answer(method, path, response, write=True)

    async def _send(
        self, method: str, path: str, params: Params, body: Mapping[str, Any] | None = None, write: bool = False
    ) -> httpx.Response:
        return await self.transport.request(
            method, f"{self._root}/{path}", params=list(params) or None, json=body, write=write
        )

    def _answer(self, method: str, path: str, response: httpx.Response, *, write: bool) -> Any:
        operation = self.operation(method, path)
        return read_answer(operation, response, write=write, redactor=self.transport.redactor)
