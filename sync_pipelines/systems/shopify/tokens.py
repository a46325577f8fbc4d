"""Access tokens: permanent ones of older custom apps, and those that an app fetches with its client credentials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import TokenRedactor
from sync_pipelines.systems.transport import Transport

TOKEN_PATH = "/admin/oauth/access_token"
_EARLIER = 300.0
"""Seconds before its end at which a token is renewed, so that none ends between two pages."""


class Tokens(Protocol):
    """Where the token of a request comes from."""

    async def current(self, transport: Transport) -> str:
        """Return a token that should be good."""

    def refused(self, token: str) -> bool:
        """Take note that a token was refused; returns whether asking for another one makes sense."""


@dataclass(frozen=True, slots=True)
class PermanentToken:
    """The ``shpat_...`` token of a custom app. New ones cannot be made since 2026, those there are work on."""

    token: str = field(repr=False)

    async def current(self, transport: Transport) -> str:
        """Return the token."""
        return self.token

    def refused(self, token: str) -> bool:
        """There is no other one."""
        return False


class ClientCredentials:
    """Tokens by the client credentials grant: good for 24 hours, without a refresh token.

    Arguments:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, client_id: str, client_secret: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def current(self, transport: Transport) -> str:
        """Return the token in hand, or fetch one.

        Raises:
            PeerError: of kind ``AUTH`` when the credentials are refused.
        """
        async with self._lock:
            if not self._token or self._clock() >= self._until:
                await self._fetch(transport)
            return self._token

    def refused(self, token: str) -> bool:
        """Throw the token away, unless another request has renewed it already."""
        if token == self._token:
            self._token = ""
        return True

    async def _fetch(self, transport: Transport) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        operation = f"POST {TOKEN_PATH}"
        # Fetching a token twice does no harm, so it is retried like a read.
        answer = await transport.request("POST", TOKEN_PATH, form=form, write=False, operation=operation)
        if answer.status_code in (400, 401, 403):
            raise transport.error(FailureKind.AUTH, "the client credentials are refused", answer, operation=operation)
        try:
            document: Any = answer.json() if answer.status_code == 200 else None
            token, seconds = document["access_token"], float(document["expires_in"])
        except (ValueError, KeyError, TypeError):
            raise transport.error(
                FailureKind.TRANSIENT, "the answer holds no access token", answer, operation=operation
            ) from None
        self._token = str(token)
        transport.redactor = TokenRedactor(transport.redactor, [self._token])
        self._until = self._clock() + max(seconds - _EARLIER, seconds / 2)
