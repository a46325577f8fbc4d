"""Access tokens of Login with Amazon: asked for when needed, renewed ahead of their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sync_pipelines.core.redaction import TokenRedactor
from sync_pipelines.systems.amazon.errors import read_answer, unexpected_shape
from sync_pipelines.systems.transport import Transport

TOKEN_URL = "https://api.amazon.com/auth/o2/token"
"""One host for the sellers of all regions."""
MARGIN = timedelta(seconds=60)
"""Time before its end from which a token is not used any more."""

_OPERATION = "POST /auth/o2/token"


@dataclass(frozen=True, slots=True)
class LoginKeys:
    """What an application shows to get tokens for a seller who has consented."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


class LoginTokens:
    """The access token of one seller, shared by all requests of a session.

    Arguments:
        transport: bound to the whole address that tokens are asked for at.
        clock: the time now, aware.
        redactor: told of each token.
    """

    def __init__(
        self, transport: Transport, keys: LoginKeys, clock: Callable[[], datetime], redactor: TokenRedactor
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._clock = clock
        self._redactor = redactor
        self._lock = asyncio.Lock()
        self._token = ""
        self._usable_until: datetime | None = None

    async def token(self, *, refused: str | None = None) -> str:
        """Return a token that is still good.

        Arguments:
            refused: a token that was refused although its time is not over; it is not returned again.

        Raises:
            PeerError: of kind ``AUTH`` when the keys are refused.
        """
        async with self._lock:
            over = self._usable_until is None or self._clock() >= self._usable_until
            if over or self._token == refused:
                await self._renew()
            return self._token

    async def _renew(self) -> None:
        asked = self._clock()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._keys.refresh_token,
            "client_id": self._keys.client_id,
            "client_secret": self._keys.client_secret,
        }
        # A token that is issued and lost on the way does no harm, so the request may be sent again.
        response = await self._transport.request("POST", "", form=form, write=False, operation=_OPERATION)
        answer = read_answer(self._transport.peer, _OPERATION, response, self._transport.redactor)
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int):
            raise unexpected_shape(self._transport.peer, _OPERATION, "no access_token with expires_in")
        self._redactor.add(token)
        self._token = token
        self._usable_until = asked + timedelta(seconds=seconds) - MARGIN
