"""What a login may see. A Director filters its list by the token's scopes without a word.

A token with team scopes alone gets status 200 and a shorter list, possibly an empty one. Whoever takes a missing
deployment for a deleted one has to know first that the list was not filtered, or filtered as before.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

_EVERYTHING = frozenset({"bosh.admin", "bosh.read"})
_ONE_DIRECTOR = re.compile(r"bosh\.(?!teams\.)([^.]+)\.(?:admin|read)")


@dataclass(frozen=True, slots=True)
class TokenScope:
    """Which part of a Director's deployments a login is shown.

    Attributes:
        identity: equal for logins that are shown the same, such as ``"bosh.read"`` or
            ``"bosh.teams.dba.admin bosh.teams.ops.admin"``. Of basic logins it is ``"user admin"``.
        sees_everything: the list is not filtered.
    """

    identity: str
    sees_everything: bool


def user_scope(user: str) -> TokenScope:
    """Return the scope of a basic login. Such users see everything unless the Director's own settings say otherwise."""
    return TokenScope(f"user {user}", sees_everything=True)


def token_scope(scopes: Iterable[str] | None, director_uuid: str | None) -> TokenScope:
    """Return the scope of a token.

    Arguments:
        scopes: as the token has them; those of other systems are left out. ``None`` when they cannot be known.
        director_uuid: of the Director it is used at; matters only where :func:`names_a_director`.
    """
    if scopes is None:
        return TokenScope("unknown scopes", sees_everything=False)
    ours = sorted({scope for scope in scopes if scope.startswith("bosh.")})
    of_this_one = {f"bosh.{director_uuid}.{right}" for right in ("admin", "read")} if director_uuid else set()
    return TokenScope(" ".join(ours) or "no scopes", not (_EVERYTHING | of_this_one).isdisjoint(ours))


def names_a_director(scopes: Iterable[str] | None) -> bool:
    """Whether it takes the Director's uuid to tell what these scopes show."""
    scopes = set(scopes or ())
    return _EVERYTHING.isdisjoint(scopes) and any(_ONE_DIRECTOR.fullmatch(scope) for scope in scopes)


def granted_scopes(answer: dict[str, Any]) -> frozenset[str] | None:
    """Return the scopes of a UAA's token answer: its ``scope``, or what the token says of itself, unverified.

    Verifying is the Director's part; a token that lies about its scopes is refused there.
    """
    told = answer.get("scope")
    if told is None:
        told = _claims(answer.get("access_token")).get("scope")
    if isinstance(told, str):
        return frozenset(told.split())
    if isinstance(told, list) and all(isinstance(scope, str) for scope in told):
        return frozenset(told)
    return None


def _claims(token: Any) -> dict[str, Any]:
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
