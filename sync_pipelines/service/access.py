"""Who may use the other routes: bearer tokens, each with an organization and what it allows."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from sync_pipelines.core.access import Scope, allowed_by
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.service.problems import Problem
from sync_pipelines.service.settings import ServiceSettings
from sync_pipelines.store import access_tokens, sync_activity

CHANGES_PER_MINUTE = 120
"""Requests of an organization that change something, over all services."""
_EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: of the token; stands in the audit log.
        scopes: everything it may do.
        organization: whose connections it may see; ``None``: those of all.
        address: of the client, as the connection has it.
    """

    name: str
    scopes: frozenset[Scope]
    organization: str | None = None
    address: str = ""

    def sees(self, organization: str) -> bool:
        """Whether what belongs to an organization exists for it."""
        return self.organization in (None, organization)

    def must(self, scope: Scope) -> None:
        """Refuse what the token does not allow.

        Raises:
            Problem: (403) it does not have the scope.
        """
        if scope not in self.scopes:
            raise Problem(403, f"This token does not allow {scope}")

    def entry(self, action: str, **details: object) -> dict[str, object]:
        """Return an entry of the audit log for something it had done."""
        return {"action": action, "success": True, "by": self.name, "from": self.address, **details}


class Tokens:
    """All tokens: those in the database, and two of the environment.

    Those of the environment are for the first steps and for whoever sets the whole installation up: they know no
    organization, and end only with the setting. Only hashes are kept.
    """

    def __init__(self, settings: ServiceSettings, engine: Engine) -> None:
        known = [
            ("admin", Scope.ADMIN, settings.admin_token),
            ("reader", Scope.READ, settings.read_token),
        ]
        self._engine = engine
        self._known = [(name, scope, _hash(token.reveal())) for name, scope, token in known if token is not None]

    def caller(self, token: str, address: str) -> Caller | None:
        """Return whose token it is; ``None`` for one that is unknown, expired or revoked.

        Every token of the environment is compared, in constant time.
        """
        given, found = _hash(token), None
        for name, scope, known in self._known:
            if hmac.compare_digest(given, known):
                found = Caller(name, allowed_by([scope]), None, address)
        if found is not None or not token.startswith(access_tokens.PREFIX):
            return found
        with self._engine.begin() as connection:
            kept = access_tokens.find(connection, token)
            if kept is None:
                return None
            access_tokens.touch(connection, kept)
        return Caller(kept.name, allowed_by(kept.scopes), kept.organization, address)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


BEARER = HTTPBearer(auto_error=False, description="A token of this service: `sync-pipelines tokens create`.")


async def authenticated(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Caller:
    """Return who calls, whatever the token allows: a dependency of routes that decide it by the body.

    Raises:
        Problem: (401) there is no token, or it does not work.
    """
    tokens: Tokens = request.app.state.service.tokens
    found = await in_thread(tokens.caller, given.credentials, address_of(request)) if given is not None else None
    if found is None:
        raise Problem(401, "A valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
    return found


def allowed(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency of a route that wants a token with a scope.

    Routes that need more than ``read`` change something, and an organization may do so only so often in a minute.
    """

    async def caller(request: Request, found: Annotated[Caller, Depends(authenticated)]) -> Caller:
        found.must(scope)
        if scope is not Scope.READ:
            await in_thread(_admit, request.app.state.service.engine, found)
        return found

    return caller


def installation(caller: Caller) -> None:
    """Refuse a caller of one organization what is set for all of them.

    Raises:
        Problem: (403) its token is for one organization.
    """
    if caller.organization is not None:
        raise Problem(403, "This is set for all organizations, and this token is for one")


def address_of(request: Request) -> str:
    """Return the client's address; that of a proxy where one stands between, for its headers can be forged."""
    return request.client.host if request.client is not None else ""


def _admit(engine: Engine, caller: Caller) -> None:
    # A name of an organization has no blank in front: this cannot be the key of another limit.
    key = f" changes of {caller.organization or _EVERYBODY}"
    with engine.begin() as connection:
        wait = sync_activity.admit(connection, key, CHANGES_PER_MINUTE)
    if wait:
        raise too_many(CHANGES_PER_MINUTE, wait)


def too_many(most: int, wait: float) -> Problem:
    """Return the refusal of a request that comes too soon."""
    return Problem(429, f"More than {most} requests in a minute", headers={"Retry-After": str(math.ceil(wait))})
