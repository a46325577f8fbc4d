"""Tokens of a UAA: asked for when needed, renewed ahead of their end, shared by all requests of a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import TokenRedactor
from sync_pipelines.systems.bosh.errors import unexpected_shape
from sync_pipelines.systems.bosh.logins import ClientLogin, Grant, Login, basic
from sync_pipelines.systems.bosh.scopes import granted_scopes, names_a_director, token_scope
from sync_pipelines.systems.transport import Transport

LONGEST_MARGIN = 60.0
"""Seconds before its end from which a token is not used any more; of a short-lived one a quarter of its life."""

_OPERATION = "POST /oauth/token"


class UaaAuthority:
    """Asks a UAA for tokens.

    Arguments:
        transport: bound to the UAA; nothing of the Director's is sent there, nor the other way round.
        login: a client or a user.
        director_uuid: asked only when a token names a Director instead of a right at all of them.
        redactor: told of each token.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        transport: Transport,
        login: Login,
        *,
        director_uuid: Callable[[], Awaitable[str]],
        redactor: TokenRedactor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._login = login
        self._director_uuid = director_uuid
        self._redactor = redactor
        self._clock = clock
        self._lock = asyncio.Lock()
        self._grant: Grant | None = None
        self._refusal: str | None = None

    async def grant(self, refused: Grant | None = None) -> Grant | None:
        """Return a token's grant, a new one when the last is the refused one or near its end.

        Raises:
            PeerError: auth when the UAA refuses the login; later calls fail without asking again, because a UAA locks
                a user's account after a few failures.
        """
        async with self._lock:
            if self._grant is None or self._grant is refused or self._is_ending(self._grant):
                self._grant = await self._new_grant()
            return self._grant

    def _is_ending(self, grant: Grant) -> bool:
        return grant.renew_at is not None and self._clock() >= grant.renew_at

    async def _new_grant(self) -> Grant:
        if self._refusal is not None:
            raise PeerError(self._transport.peer, FailureKind.AUTH, self._refusal, operation=_OPERATION)
        asked_at = self._clock()
        answer = await self._ask()
        token = answer.get("access_token")
        # Anything else would not fit into a header.
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or not token or " " in token:
            raise unexpected_shape(self._transport.peer, _OPERATION, "no usable access_token")
        self._redactor.add(token)
        scopes = granted_scopes(answer)
        uuid = await self._director_uuid() if names_a_director(scopes) else None
        return Grant(f"bearer {token}", token_scope(scopes, uuid), _renewal(asked_at, answer.get("expires_in")))

    async def _ask(self) -> dict[str, Any]:
        # A user's refresh token is not used: asking anew with the password needs no second way of failing.
        if isinstance(self._login, ClientLogin):
            form = {"grant_type": "client_credentials"}
            authorization = basic(self._login.client, self._login.secret)
        else:
            form = {"grant_type": "password", "username": self._login.user, "password": self._login.password}
            authorization = basic(self._login.client, self._login.client_secret)
        response = await self._transport.request(
            "POST",
            "oauth/token",
            form=form,
            headers={"Authorization": authorization},
            write=False,
            operation=_OPERATION,
        )
        if not response.is_success:
            raise self._refused(response)
        answer = _object(response)
        if answer is None:
            raise unexpected_shape(self._transport.peer, _OPERATION, "no JSON object; is this the address of a UAA?")
        return answer

    def _refused(self, response: httpx.Response) -> PeerError:
        status, answer = response.status_code, _object(response)
        if answer is not None and isinstance(answer.get("error"), str) and status in (400, 401, 403):
            told = self._redactor.text(f"{answer['error']}: {answer.get('error_description', '')}")[:300]
            self._refusal = f"the UAA refuses the login {self._login.pair[0]!r}: {told} - check its name and secret"
            return PeerError(self._transport.peer, FailureKind.AUTH, self._refusal, status=status, operation=_OPERATION)
        transient = status >= 500 or status in (408, 425) or response.content.lstrip()[:1] == b"<"
        kind = FailureKind.TRANSIENT if transient else FailureKind.PERMANENT
        return self._transport.error(kind, "no token; is this the address of a UAA?", response, operation=_OPERATION)


def _renewal(asked_at: float, expires_in: Any) -> float | None:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or expires_in <= 0:
        return None
    return asked_at + expires_in - min(LONGEST_MARGIN, expires_in / 4)


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(response.content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
