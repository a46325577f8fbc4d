"""The ASGI application of a UAA: one endpoint that gives tokens."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.bosh.access import basic_credentials
from sync_pipelines.sandbox.bosh.rendering import compact
from sync_pipelines.sandbox.bosh.uaa_world import Client, UaaWorld

_JSON = "application/json;charset=UTF-8"
_ENDED = "The token expired, was revoked, or the token ID is incorrect."


class _Refused(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def uaa_application(world: UaaWorld) -> Starlette:
    """Return an application that serves ``world``."""

    async def token(request: Request) -> Response:
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        try:
            client = _client(world, request.headers.get("authorization", ""), form)
            return _json(200, _granted(world, client, form), {"Cache-Control": "no-store", "Pragma": "no-cache"})
        except _Refused as refusal:
            challenge = {"WWW-Authenticate": 'Basic realm="UAA/client"'} if refusal.status == 401 else {}
            return _json(refusal.status, refusal.body, challenge)

    return Starlette(routes=[Route("/oauth/token", token, methods=["POST"])])


def _client(world: UaaWorld, authorization: str, form: dict[str, str]) -> Client:
    """Return who asks: named in the header, or in the form."""
    given = basic_credentials(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
    client = world.clients.get(given[0])
    if client is None or client.secret != given[1]:
        raise _Refused(401, "unauthorized", "Bad credentials")
    return client


def _granted(world: UaaWorld, client: Client, form: dict[str, str]) -> dict[str, Any]:
    grant = form.get("grant_type")
    if grant is None:
        raise _Refused(400, "invalid_request", "Missing grant type")
    if grant not in ("client_credentials", "password", "refresh_token"):
        raise _Refused(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
    if grant not in client.grants:
        raise _Refused(401, "invalid_client", f"Unauthorized grant type: {grant}")
    if grant == "client_credentials":
        return _answer(world, client, "", _asked(form, client.scopes))
    user = _refreshing(world, client, form) if grant == "refresh_token" else _user(world, form)
    return _answer(world, client, user, _asked(form, (*world.users[user].scopes, "openid")))


def _user(world: UaaWorld, form: dict[str, str]) -> str:
    user = world.users.get(form.get("username", ""))
    if user is None or user.password != form.get("password", ""):
        raise _Refused(401, "unauthorized", "Bad credentials")
    return user.name


def _refreshing(world: UaaWorld, client: Client, form: dict[str, str]) -> str:
    claims = world.claims(form.get("refresh_token", ""))
    is_good = claims is not None and claims["jti"].endswith("-r") and claims["client_id"] == client.id
    if claims is None or not is_good or claims["user_name"] not in world.users:
        raise _Refused(401, "invalid_token", _ENDED)
    return str(claims["user_name"])


def _asked(form: dict[str, str], scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes asked for, as far as they are granted; all when none is named."""
    if "scope" not in form:
        return scopes
    wanted = form["scope"].split()
    kept = tuple(scope for scope in scopes if scope in wanted)
    if not kept:
        raise _Refused(400, "invalid_scope", f"Invalid scope requested: {form['scope']}")
    return kept


def _answer(world: UaaWorld, client: Client, user: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    access = world.sign(client.id, scopes, user=user, seconds=client.lifetime, is_refresh=False)
    answer: dict[str, Any] = {"access_token": access, "token_type": "bearer"}
    if user:
        seconds = world.refresh_lifetime
        answer["refresh_token"] = world.sign(client.id, scopes, user=user, seconds=seconds, is_refresh=True)
    claims = world.claims(access)
    jti = claims["jti"] if claims else ""
    return {**answer, "expires_in": max(0, client.lifetime - 1), "scope": " ".join(scopes), "jti": jti}


def _json(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(compact(body), status, {"Content-Type": _JSON, **headers})
