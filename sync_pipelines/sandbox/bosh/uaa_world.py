"""The state of one UAA, the server that signs the tokens of Directors: clients, users and what it issued."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sync_pipelines.sandbox.bosh.model import READ, User
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest

CLI_CLIENT = "bosh_cli"
"""The public client, without a secret, by which people log in with their password."""


@dataclass(slots=True)
class Client:
    """A program that may ask for tokens.

    Attributes:
        scopes: what its own tokens grant.
        grants: which ways of asking are open to it.
        lifetime: of its tokens, in seconds.
    """

    id: str
    secret: str
    scopes: tuple[str, ...]
    grants: tuple[str, ...] = ("client_credentials",)
    lifetime: int = 600


class UaaWorld:
    """Everything a UAA knows. Read and change it freely in tests.

    Attributes:
        url: where it is served, as Directors tell their clients; set while it runs.
        clients, users: by id and by name.
        refresh_lifetime: of refresh tokens, in seconds.
        requests: every request received, in order.
    """

    def __init__(self, clock: Clock | None = None, key: bytes = b"signing key of the stand-in") -> None:
        self.clock = clock or Clock()
        self.url = ""
        self.clients = {CLI_CLIENT: Client(CLI_CLIENT, "", (), ("password", "refresh_token"))}
        self.users: dict[str, User] = {}
        self.refresh_lifetime = 86_400
        self.requests: list[LoggedRequest] = []
        self._key = key
        self._revoked_before = 0

    @property
    def issued(self) -> int:
        """How many times somebody was given a token over HTTP."""
        return sum(request.path == "/oauth/token" and request.status == 200 for request in self.requests)

    def add_client(self, client_id: str, secret: str, *scopes: str, **details: Any) -> Client:
        """Add a program; ``details`` are further fields of :class:`Client`."""
        client = self.clients[client_id] = Client(client_id, secret, scopes or (READ,), **details)
        return client

    def add_user(self, name: str, password: str, *scopes: str) -> User:
        """Add somebody who logs in with a password, by way of the client ``bosh_cli``."""
        user = self.users[name] = User(name, password, scopes or (READ,))
        return user

    def set_scopes(self, name: str, *scopes: str) -> None:
        """Grant a client or a user something else; tokens that are out keep what they have until they end."""
        if name in self.clients:
            self.clients[name].scopes = scopes
        else:
            self.users[name].scopes = scopes

    def narrow(self, name: str, *scopes: str) -> None:
        """Grant something else, and make an end of all tokens that are out."""
        self.set_scopes(name, *scopes)
        self.revoke_all()

    def revoke_all(self) -> None:
        """End all tokens that are out; Directors refuse them like expired ones."""
        self._revoked_before += 1

    def sign(self, client_id: str, scopes: tuple[str, ...], *, user: str = "", seconds: int, is_refresh: bool) -> str:
        """Return a signed token that grants ``scopes`` for some time; negative ``seconds`` make an expired one."""
        now = int(self.clock.now())
        # By this ending a Director knows a refresh token, which it does not take.
        jti = uuid4().hex + ("-r" if is_refresh else "")
        claims: dict[str, Any] = {
            "jti": jti,
            "sub": user or client_id,
            "scope": list(scopes),
            "client_id": client_id,
            "iat": now,
            "exp": now + seconds,
            "iss": f"{self.url}/oauth/token",
            "zid": "uaa",
            "aud": sorted({scope.rpartition(".")[0] or scope for scope in scopes}),
            "generation": self._revoked_before,
        }
        if user:
            claims["user_name"] = user
        head = _encoded(json.dumps({"alg": "HS256", "kid": "stand-in", "typ": "JWT"}).encode())
        payload = _encoded(json.dumps(claims).encode())
        return f"{head}.{payload}.{self._signature(f'{head}.{payload}')}"

    def token(self, client_id: str, *scopes: str, seconds: int = 600) -> str:
        """Return a token as if a client had asked for it; without scopes it grants those of the client."""
        granted = scopes or self.clients[client_id].scopes
        return self.sign(client_id, granted, seconds=seconds, is_refresh=False)

    def claims(self, token: str) -> dict[str, Any] | None:
        """Return what a token says; ``None`` when it is not of this UAA, or has ended."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        is_over = claims["exp"] <= self.clock.now() or claims["generation"] < self._revoked_before
        return None if is_over else claims

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
