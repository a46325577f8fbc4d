"""Reads from one Director with one login."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor, TokenRedactor
from sync_pipelines.systems.bosh.errors import is_dead_login, read_answer, unexpected_shape
from sync_pipelines.systems.bosh.logins import Authority, BasicAuthority, Grant, Login, secrets_of
from sync_pipelines.systems.bosh.models import Info
from sync_pipelines.systems.bosh.parsing import parse_info
from sync_pipelines.systems.bosh.scopes import TokenScope
from sync_pipelines.systems.bosh.uaa import UaaAuthority
from sync_pipelines.systems.private_ca import trusting
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, MAX_IN_FLIGHT, READ_DELAY, Transport, TransportStats

PEER = "bosh"

AuthKind = Literal["basic", "uaa"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with any status, and what the login it was asked with is shown."""

    operation: str
    response: httpx.Response
    scope: TokenScope


class BoshSession:
    """Sends reads to a Director, and logs in as it wants. Use as ``async with``; opening sends nothing.

    Arguments:
        url: address of the Director, e.g. ``https://10.0.0.6:25555``.
        login: used for basic logins or at the UAA, whichever the Director wants.
        auth: what it wants, when that is known; by default ``/info`` is asked, which is open to all.
        uaa_url: address of the UAA; by default the one that ``/info`` names.
        ca: certificate authority to trust instead of the public ones: path of a PEM file, or the PEM text.
        throttle: rate limit and breaker of the Director.
        redactor: masks other secrets in error texts; those of the login and its tokens are masked anyway.
        timeout, deadline, max_in_flight, read_delay: see :class:`Transport`.
        clock: seconds that never go back; tokens are renewed by it.

    Raises:
        ConfigurationError: the CA cannot be used.
        ValueError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        login: Login,
        *,
        auth: AuthKind | None = None,
        uaa_url: str | None = None,
        ca: str | None = None,
        throttle: Throttle | None = None,
        redactor: Redactor | None = None,
        timeout: httpx.Timeout = DEFAULT_TIMEOUT,
        deadline: float = 120.0,
        max_in_flight: int = MAX_IN_FLIGHT,
        read_delay: float = READ_DELAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._auth = auth
        self._uaa_url = uaa_url
        self._is_https = urlsplit(url).scheme == "https"
        self._clock = clock
        self._redactor = TokenRedactor(redactor or Redactor(), secrets_of(login))
        self._shared: dict[str, Any] = {
            "timeout": timeout,
            "deadline": deadline,
            "read_delay": read_delay,
            "redactor": self._redactor,
            "verify": trusting(ca) if ca else True,
        }
        self._transport = Transport(PEER, url, throttle=throttle, max_in_flight=max_in_flight, **self._shared)
        self._uaa: Transport | None = None
        self._authority: Authority | None = None
        self._info: Info | None = None
        self._choosing = asyncio.Lock()
        self._informing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
        if self._uaa is not None:
            await self._uaa.aclose()

    @property
    def stats(self) -> TransportStats:
        """What was asked of the Director so far; the UAA does not count."""
        return self._transport.stats

    @property
    def redactor(self) -> Redactor:
        """Masks the secrets and tokens of this session."""
        return self._redactor

    async def info(self) -> Info:
        """Return what the Director says of itself to anybody. Asked once a session."""
        async with self._informing:
            if self._info is None:
                operation = "GET /info"
                response = await self._transport.request("GET", "info", operation=operation)
                value = read_answer(PEER, operation, response, redactor=self._redactor)
                try:
                    self._info = parse_info(value)
                except ValueError as error:
                    raise unexpected_shape(PEER, operation, f"{error}; is this a BOSH Director?") from None
            return self._info

    async def scope(self) -> TokenScope:
        """Log in if need be, and return what the login is shown."""
        return (await self._granted()).scope

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, follow: bool = True) -> Answer:
        """Send a read, with a new token once when the token was refused. Return the answer, whatever its status.

        Arguments:
            path: its segments are safe already.
            follow: whether redirects on the same origin are followed; without it they are the answer.

        Raises:
            PeerError: no answer, or no login.
        """
        operation = f"GET /{path}"
        grant = await self._granted()
        response = await self._send(operation, path, params, follow, grant)
        if is_dead_login(response):
            # Its end may have come on the way, and a UAA may revoke tokens at any time.
            fresh = await (await self._login_authority()).grant(refused=grant)
            if fresh is not None:
                grant = fresh
                response = await self._send(operation, path, params, follow, grant)
        return Answer(operation, response, grant.scope)

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer. Raises ``PeerError`` as ``errors.py`` classifies it."""
        return self.value(await self.get(path, params))

    def value(self, answer: Answer) -> Any:
        """Return the JSON of an answer. Raises ``PeerError`` as ``errors.py`` classifies it."""
        return read_answer(PEER, answer.operation, answer.response, redactor=self._redactor)

    async def _send(
        self, operation: str, path: str, params: Mapping[str, str] | None, follow: bool, grant: Grant
    ) -> httpx.Response:
        headers = {"Authorization": grant.authorization}
        return await self._transport.request(
            "GET", path, params=params, headers=headers, operation=operation, follow=follow
        )

    async def _granted(self) -> Grant:
        grant = await (await self._login_authority()).grant()
        assert grant is not None
        return grant

    async def _login_authority(self) -> Authority:
        async with self._choosing:
            if self._authority is None:
                self._authority = await self._choose()
            return self._authority

    async def _choose(self) -> Authority:
        auth: str = self._auth or ("uaa" if self._uaa_url else (await self.info()).auth)
        if auth == "basic":
            return BasicAuthority(self._login)
        if auth != "uaa":
            message = f"the Director wants logins of type {auth!r:.40}; basic and uaa are known here"
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation="GET /info")
        self._uaa = Transport(PEER, await self._uaa_address(), max_in_flight=1, **self._shared)
        return UaaAuthority(
            self._uaa, self._login, director_uuid=self._director_uuid, redactor=self._redactor, clock=self._clock
        )

    async def _uaa_address(self) -> str:
        if self._uaa_url:
            return self._uaa_url
        url = (await self.info()).uaa_url or ""
        if not _is_fit_for_secrets(url, https_only=self._is_https):
            # /info is not authenticated, and the client's secret goes to where it points.
            message = f"/info names no UAA that a secret can be sent to ({url!r:.100}); set its address by hand"
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation="GET /info")
        return url

    async def _director_uuid(self) -> str:
        return (await self.info()).uuid


def _is_fit_for_secrets(url: str, *, https_only: bool) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.scheme in (("https",) if https_only else ("http", "https"))
    except ValueError:
        return False
