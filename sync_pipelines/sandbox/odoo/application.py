"""The ASGI application of an Odoo server."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.odoo import json2, jsonrpc
from sync_pipelines.sandbox.odoo.world import OdooWorld

_VERSION = {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}
_NOT_FOUND = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"


def odoo_application(world: OdooWorld) -> ASGIApp:
    """Return an application that serves ``world`` as Odoo 19 would."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if world.latency_seconds:
            await asyncio.sleep(world.latency_seconds)
        response = await _response(world, request, body)
        await response(scope, receive, send)

    return application


async def _response(world: OdooWorld, request: Request, body: bytes) -> Response:
    path = request.scope["path"]
    if path in ("/web/version", "/json/version"):
        return Response(json2.encoded(_VERSION), media_type=json2.JSON)
    if path == "/web/health":
        return Response(json2.encoded({"status": "pass"}), media_type="application/json")
    if path.startswith("/json/2/"):
        return await json2.answer(world, request, body)
    if path == "/jsonrpc" and request.method == "POST":
        return await jsonrpc.answer(world, request, body)
    if path in ("/xmlrpc/2/common", "/xmlrpc/2/object") and request.method == "POST":
        return await jsonrpc.xml_answer(world, request, body)
    return HTMLResponse(_NOT_FOUND, 404)
