"""Who may use the other routes: bearer tokens, each with what it allows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sync_pipelines.service.problems import Problem
from sync_pipelines.service.settings import ServiceSettings


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls."""

    name: str
    scopes: frozenset[Scope]


class Tokens:
    """The tokens of the settings. Only their hashes are kept."""

    def __init__(self, settings: ServiceSettings) -> None:
        known = {
            Principal("admin", frozenset(Scope)): settings.admin_token,
            Principal("reader", frozenset({Scope.READ})): settings.read_token,
        }
        self._known = {who: _hash(token.reveal()) for who, token in known.items() if token is not None}

    def principal(self, token: str) -> Principal | None:
        """Return whose token it is; every known one is compared, in constant time."""
        given, found = _hash(token), None
        for who, known in self._known.items():
            if hmac.compare_digest(given, known):
                found = who
        return found


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


_BEARER = HTTPBearer(auto_error=False, description="A token of this service.")


def allowed(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency of a route that wants a token with a scope."""

    async def principal(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Principal:
        tokens: Tokens = request.app.state.service.tokens
        found = tokens.principal(given.credentials) if given is not None else None
        if found is None:
            raise Problem(401, "A valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        if scope not in found.scopes:
            raise Problem(403, f"This token does not allow {scope}")
        return found

    return principal
