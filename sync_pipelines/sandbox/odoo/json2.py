"""JSON-2: ``POST /json/2/MODEL/METHOD`` with named arguments, errors as HTTP statuses."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sync_pipelines.sandbox.odoo.calling import signature, takes_ids
from sync_pipelines.sandbox.odoo.dispatch import Call, carried_out, method_of
from sync_pipelines.sandbox.odoo.errors import OdooError, not_found, unauthorized, unprocessable
from sync_pipelines.sandbox.odoo.world import OdooWorld

JSON = "application/json; charset=utf-8"
_WRONG_TYPE = (
    "<!doctype html>\n<html lang=en>\n<title>415 Unsupported Media Type</title>\n<h1>Unsupported Media Type</h1>\n"
    "<p>Request inferred type is compatible with [&#39;http&#39;] but &#39;/json/2/&lt;__model__&gt;/&lt;__method__"
    "&gt;&#39; is type=&#39;json2&#39;.<br><br>Please verify the Content-Type request header and try again.</p>\n"
)
_NO_DATABASE = (
    "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the requested "
    "URL was not found in the server-wide controllers.</p>\n<p>Please verify the hostname, <a href=/web/login>login</a>"
    " and try again.</p>\n\n<!-- Alternatively, use the X-Odoo-Database header. -->\n"
)


def told(error: OdooError) -> dict[str, Any]:
    """Return an exception as clients see it. The traceback is made up."""
    werkzeug = error.name.startswith("werkzeug.")
    trace = "" if error.name.endswith("AccessDenied") else 'Traceback (most recent call last):\n  File "odoo/http.py"\n'
    return {
        "name": error.name,
        "message": error.message,
        "arguments": [error.message, error.status] if werkzeug else [error.message],
        "context": {},
        "debug": f"{trace}{error.name}: {error.message}\n",
    }


def encoded(value: Any) -> bytes:
    """Return JSON as Odoo writes it: a NaN among the numbers stays, and makes the text invalid."""
    return json.dumps(value, ensure_ascii=False).encode()


async def answer(world: OdooWorld, request: Request, body: bytes) -> Response:
    """Answer a request below ``/json/2/``."""
    named = request.headers.get("x-odoo-database")
    if named not in world.databases and (named or len(world.databases) > 1):
        return HTMLResponse(_NO_DATABASE, 404)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if request.method == "POST" and kind not in ("application/json", "application/json-rpc"):
        return HTMLResponse(_WRONG_TYPE, 415)
    try:
        result = await carried_out(world, _call(world, request, body))
    except OdooError as error:
        return Response(encoded(told(error)), error.status, media_type=JSON)
    return Response(encoded(result), media_type=JSON)


def _call(world: OdooWorld, request: Request, body: bytes) -> Call:
    parts = request.scope["path"].removeprefix("/json/2/").split("/")
    if request.method != "POST" or len(parts) != 2:
        raise not_found("Did you mean POST /json/2/<model>/<method>?")
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise unauthorized("User not authenticated, use an API Key with a Bearer Authorization header.")
    user = world.user_of(key.strip())
    if user is None:
        raise unauthorized("Invalid apikey")
    arguments = _arguments(body)
    name, method_name = parts
    if name not in world.models:
        raise not_found(f"the model {name!r} does not exist")
    method = method_of(world.models[name], method_name)
    if method is None:
        raise not_found(f"The method '{name}.{method_name}' does not exist")
    ids, context = arguments.pop("ids", None), arguments.pop("context", None)
    if ids is not None and not takes_ids(method):
        raise unprocessable(f"cannot call {name}.{method_name} with ids")
    try:
        signature(method).bind(**arguments)
    except TypeError as problem:
        raise unprocessable(str(problem)) from problem
    return Call(user, name, method_name, ids, (), arguments, context)


def _arguments(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body) if body else {}
    except ValueError as problem:
        text = f"could not parse the body as json: {problem}"
        raise OdooError("werkzeug.exceptions.BadRequest", text) from problem
    if isinstance(sent, dict):
        return sent
    if not sent:
        return {}
    raise unprocessable(f"the body must be an object, not {type(sent).__name__}")
