"""The older protocols, JSON-RPC and XML-RPC, which share their services: ``common``, ``object`` and a closed ``db``."""

from __future__ import annotations

import json
import xmlrpc.client
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sync_pipelines.sandbox.odoo.calling import signature, takes_ids
from sync_pipelines.sandbox.odoo.dispatch import Call, carried_out, method_of
from sync_pipelines.sandbox.odoo.errors import OdooError, access_denied, missing, user_error
from sync_pipelines.sandbox.odoo.json2 import JSON, encoded, told
from sync_pipelines.sandbox.odoo.world import OdooWorld

_VERSION = {
    "server_version": "19.0",
    "server_version_info": [19, 0, 0, "final", 0, ""],
    "server_serie": "19.0",
    "protocol_version": 1,
}
_FAULTS = {"AccessDenied": 3, "AccessError": 4, "MissingError": 2, "UserError": 2, "ValidationError": 2}


async def answer(world: OdooWorld, request: Request, body: bytes) -> Response:
    """Answer ``/jsonrpc``: always with status 200, unless the body is no request at all."""
    try:
        sent = json.loads(body)
    except ValueError:
        return HTMLResponse("Invalid JSON data", 400)
    if not isinstance(sent, dict) or not isinstance(sent.get("params"), dict):
        return HTMLResponse("Invalid JSON-RPC data", 400)
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": sent.get("id")}
    params = sent["params"]
    try:
        result = await _service(world, params.get("service"), params.get("method"), list(params.get("args") or ()))
    except OdooError as error:
        reply["error"] = {"code": 0, "message": "Odoo Server Error", "data": told(error)}
    else:
        if result is not None:
            reply["result"] = result
    return Response(encoded(reply), media_type=JSON)


async def xml_answer(world: OdooWorld, request: Request, body: bytes) -> Response:
    """Answer ``/xmlrpc/2/common`` and ``/xmlrpc/2/object``."""
    service = request.scope["path"].rpartition("/")[2]
    try:
        arguments, method = xmlrpc.client.loads(body.decode())
        result = await _service(world, service, method, list(arguments))
    except OdooError as error:
        short = error.name.rpartition(".")[2]
        code = _FAULTS.get(short, 1)
        trace = f"Traceback (most recent call last):\n{short}: {error.message}"
        fault = xmlrpc.client.Fault(code, trace if code == 1 else error.message)
        return Response(xmlrpc.client.dumps(fault), media_type="text/xml; charset=utf-8")
    text = xmlrpc.client.dumps((result,), methodresponse=True, allow_none=True)
    return Response(text, media_type="text/xml; charset=utf-8")


async def _service(world: OdooWorld, service: Any, method: Any, arguments: list[Any]) -> Any:
    if service == "common":
        return _common(world, method, arguments)
    if service == "db":
        raise access_denied()
    if service != "object":
        raise OdooError("builtins.KeyError", str(service))
    return await _execute(world, method, arguments)


def _common(world: OdooWorld, method: Any, arguments: list[Any]) -> Any:
    if method == "version":
        return _VERSION
    database, login, secret = arguments[:3]
    _refuse_unknown(world, database)
    user = next((user for user in world.users.values() if user.login == login), None)
    # A wrong password is no error here.
    return user.id if user is not None and world.opens(user, str(secret)) else False


async def _execute(world: OdooWorld, how: Any, arguments: list[Any]) -> Any:
    database, uid, secret, name, method_name, *rest = arguments
    _refuse_unknown(world, database)
    user = world.users.get(uid)
    if user is None:
        raise missing("res.users", uid, uid)
    if not world.opens(user, str(secret)):
        raise access_denied()
    if name not in world.models:
        raise user_error(f"Object {name} doesn't exist")
    method = method_of(world.models[name], method_name)
    if method is None:
        raise OdooError("builtins.AttributeError", f"The method '{name}.{method_name}' does not exist")
    positional = list(rest[0]) if how == "execute_kw" and rest else list(rest)
    named = dict(rest[1]) if how == "execute_kw" and len(rest) > 1 else {}
    context = named.pop("context", None)
    ids = positional.pop(0) if takes_ids(method) and positional else None
    single = method_name == "create" and bool(positional) and isinstance(positional[0], dict)
    try:
        signature(method).bind(*positional, **named)
    except TypeError as problem:
        raise OdooError("builtins.TypeError", f"BaseModel.{method_name}() {problem}") from problem
    result = await carried_out(world, Call(user, name, method_name, ids, positional, named, context))
    return result[0] if single else result


def _refuse_unknown(world: OdooWorld, database: Any) -> None:
    if database not in world.databases:
        text = (
            f'connection to server at "database.test", port 5432 failed: FATAL:  database "{database}" does not exist\n'
        )
        raise OdooError("psycopg2.OperationalError", text)
