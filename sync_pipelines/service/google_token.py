"""Tokens of Cloud Scheduler: signed by Google, for one service account, for one audience."""

from __future__ import annotations

import json

import jwt
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode

from sync_pipelines.core.errors import SyncError
from sync_pipelines.service.issuer_keys import IssuerKeys, UnknownKey
from sync_pipelines.service.settings import SchedulerSettings

_ALGORITHM = "RS256"
_LONGEST = 8 * 1024


class TokenRefused(SyncError):
    """A token does not prove what it should; the message says why and is for the log alone."""


async def verify(token: str, settings: SchedulerSettings, keys: IssuerKeys) -> str:
    """Verify an OpenID Connect token and return the service account's e-mail address.

    The algorithm is ours to say and not the token's; a token without the name of its key is refused, and so is one
    for a list of audiences, which Google does not issue. PyJWT checks no e-mail address.

    Raises:
        TokenRefused: it is not good.
        KeysUnavailable: it cannot be said, for its issuer's keys cannot be read.
    """
    try:
        claims = jwt.decode(
            token,
            await keys.key(_key_name(token)),
            algorithms=[_ALGORITHM],
            audience=settings.audience,
            issuer=list(settings.issuers),
            leeway=settings.leeway,
            options={"require": ["exp", "iat", "aud", "iss", "sub"], "strict_aud": True},
        )
    except (PyJWTError, UnknownKey) as error:
        raise TokenRefused(f"{type(error).__name__}: {error}") from None
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise TokenRefused("the token has no verified e-mail address")
    if email not in settings.accounts:
        raise TokenRefused("the token is for an account that is not allowed")
    return email


def _key_name(token: str) -> str:
    """Return which key is said to have signed. PyJWT's own way to ask would decode the whole token, twice as slowly."""
    try:
        header = json.loads(base64url_decode(token.partition(".")[0])) if len(token) <= _LONGEST else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("alg") != _ALGORITHM or not isinstance(header.get("kid"), str):
        raise TokenRefused("the token is not signed with RS256 and a named key")
    return str(header["kid"])
