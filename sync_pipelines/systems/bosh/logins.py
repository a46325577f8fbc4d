"""Credentials as an operator gives them, and the grants that requests are sent with."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Protocol

from sync_pipelines.systems.bosh.scopes import TokenScope, user_scope


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """A UAA client and its secret; at a Director with basic logins, user and password."""

    client: str
    secret: str = field(repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        """Name and secret."""
        return self.client, self.secret


@dataclass(frozen=True, slots=True)
class UserLogin:
    """A user and the password; at a UAA they are given through a client, by default the public one of the BOSH CLI."""

    user: str
    password: str = field(repr=False)
    client: str = "bosh_cli"
    client_secret: str = field(default="", repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        """Name and secret."""
        return self.user, self.password


Login = ClientLogin | UserLogin


def secrets_of(login: Login) -> list[str]:
    """Return what must never be seen."""
    return [login.secret] if isinstance(login, ClientLogin) else [login.password, login.client_secret]


@dataclass(frozen=True, slots=True)
class Grant:
    """What one request is sent with.

    Attributes:
        authorization: value of the header.
        scope: what it is shown.
        renew_at: moment on the authority's clock from which a new one is asked for; ``None`` for never.
    """

    authorization: str = field(repr=False)
    scope: TokenScope
    renew_at: float | None = None


class Authority(Protocol):
    """Hands out grants."""

    async def grant(self, refused: Grant | None = None) -> Grant | None:
        """Return a grant to use now; ``None`` when there is none but the refused one."""


class BasicAuthority:
    """Has one grant, which never changes."""

    def __init__(self, login: Login) -> None:
        self._grant = Grant(basic(*login.pair), user_scope(login.pair[0]))

    async def grant(self, refused: Grant | None = None) -> Grant | None:
        """Return the grant, unless it is the refused one."""
        return self._grant if refused is None else None


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
