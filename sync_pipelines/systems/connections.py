"""The connections of one transport: as many as there are requests in flight, each with an httpx client of its own.

httpx's pool goes through all its connections at every request, which costs more than the request itself as soon as
several are in flight. A pool of one has nothing to go through.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx


class Connections:
    """Connections to one host, opened as they are needed. The caller bounds how many are used at a time."""

    def __init__(
        self,
        host: str,
        headers: Mapping[str, str],
        timeout: httpx.Timeout,
        verify: Any,
        auth: httpx.Auth | None = None,
    ) -> None:
        self._host = host
        self._headers = headers
        self._auth = auth
        self._timeout = timeout
        self._verify = _trusted_certificates() if verify is True else verify
        self._first = self._new()
        self._all = [self._first]
        self._idle = [self._first]

    def build(self, method: str, url: str, **parts: Any) -> httpx.Request:
        """Return a request with the common headers and timeouts."""
        return self._first.build_request(method, url, **parts)

    @asynccontextmanager
    async def sent(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """Send a request on a free connection; the body is read within the block."""
        # The one used last: it is the least likely to have been closed meanwhile.
        client = self._idle.pop() if self._idle else self._another()
        try:
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except BaseException:
            # What is left of an exchange that broke off may hold the one place of its pool for a while yet.
            self._all.remove(client)
            await client.aclose()
            raise
        self._idle.append(client)

    async def aclose(self) -> None:
        """Close all connections, the others too when one of them raises or the caller is cancelled meanwhile."""
        async with AsyncExitStack() as closing:
            for client in self._all:
                closing.push_async_callback(client.aclose)

    def _another(self) -> httpx.AsyncClient:
        self._all.append(self._new())
        return self._all[-1]

    def _new(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=self._headers,
            auth=self._auth,
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            # A session cookie next to a token makes some frameworks ask for a CSRF token on writes.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            verify=self._verify,
            # A proxy of the environment cannot reach this machine's loopback.
            trust_env=not _is_loopback(self._host),
        )


@cache
def _trusted_certificates() -> ssl.SSLContext:
    # Loading them takes some 40 ms, and every run opens several transports.
    return httpx.create_ssl_context()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
