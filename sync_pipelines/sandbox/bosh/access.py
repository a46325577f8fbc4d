"""Who asks, and what the scopes of a caller open on one Director."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from sync_pipelines.sandbox.bosh.errors import missing_scope
from sync_pipelines.sandbox.bosh.model import ADMIN, READ, Deployment
from sync_pipelines.sandbox.bosh.world import DirectorWorld

_TEAM = re.compile(r"bosh\.teams\.(?P<team>.+)\.(admin|read)")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who logged in.

    Attributes:
        name: user, or client when there is none.
        scopes: what the token grants, or the user has.
        director: uuid of the Director that is asked.
    """

    name: str
    scopes: frozenset[str]
    director: str

    @property
    def teams(self) -> frozenset[str]:
        """The teams whose deployments are open to the caller."""
        return frozenset(found["team"] for scope in self.scopes if (found := _TEAM.fullmatch(scope)))

    @property
    def is_admin(self) -> bool:
        """Whether everything is open."""
        return not self.scopes.isdisjoint(self._admin_scopes)

    @property
    def reads_all(self) -> bool:
        """Whether every deployment may be read."""
        return not self.scopes.isdisjoint(self._read_scopes)

    def sees(self, deployment: Deployment) -> bool:
        """Return whether one deployment may be read."""
        return self.reads_all or not self.teams.isdisjoint(deployment.teams)

    def need_admin(self) -> None:
        """Refuse everybody but admins.

        Raises:
            Refusal: 401 as JSON with code 600000: a new token of the same client is of no use.
        """
        if not self.is_admin:
            raise missing_scope(self._admin_scopes)

    def need_read(self, deployment: Deployment | None = None) -> None:
        """Refuse those who may read neither everything nor this deployment."""
        if not (self.reads_all or (deployment is not None and self.sees(deployment))):
            raise missing_scope(self._read_scopes)

    def need_any_read(self) -> None:
        """Refuse those who may read nothing at all; a team is enough, whatever it owns."""
        if not (self.reads_all or self.teams):
            raise missing_scope(self._read_scopes)

    @property
    def _admin_scopes(self) -> tuple[str, ...]:
        return (ADMIN, f"bosh.{self.director}.admin")

    @property
    def _read_scopes(self) -> tuple[str, ...]:
        return (*self._admin_scopes, READ, f"bosh.{self.director}.read")


def caller(world: DirectorWorld, authorization: str) -> Caller | None:
    """Return who logs in with an ``Authorization`` header; ``None`` when nobody does."""
    kind, _, secret = authorization.strip().partition(" ")
    if world.uaa is not None:
        claims = world.uaa.claims(secret.strip()) if kind.lower() == "bearer" else None
        if claims is None or claims["jti"].endswith("-r"):
            return None
        return Caller(claims.get("user_name") or claims["client_id"], frozenset(claims["scope"]), world.uuid)
    name, password = basic_credentials(authorization) or ("", "")
    user = world.users.get(name)
    if user is None or user.password != password:
        return None
    return Caller(name, frozenset(user.scopes), world.uuid)


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Return name and password of HTTP Basic authentication; ``None`` when there are none."""
    kind, _, secret = authorization.strip().partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(secret.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None
