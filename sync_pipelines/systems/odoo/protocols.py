"""The two ways to call a method over HTTP: JSON-2 of Odoo 19 and later, JSON-RPC of every version before 22."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Protocol

import httpx

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.odoo.answers import read_json2, read_jsonrpc
from sync_pipelines.systems.odoo.calls import POSITIONAL, Call
from sync_pipelines.systems.odoo.errors import OdooError, Reason, unexpected_shape
from sync_pipelines.systems.odoo.values import encoded
from sync_pipelines.systems.transport import Transport, segment

JSON = {"Content-Type": "application/json"}
_LOGIN = Call("common", "authenticate")
"""No method of a model. It changes nothing and may be sent again."""


class CallProtocol(Protocol):
    """Carries one call there and its value back."""

    async def send(self, call: Call) -> Any:
        """Return the value answered. Raises ``PeerError``."""


class Json2Protocol:
    """``POST /json/2/MODEL/METHOD`` with an API key.

    Arguments:
        transport: closed by whoever made it.
        key: API key of the user to work as.
        database: needed when the server has several.
    """

    def __init__(self, transport: Transport, *, key: str, database: str | None) -> None:
        self._transport = transport
        self._headers = {**JSON, "Authorization": f"bearer {key}"}
        if database:
            self._headers["X-Odoo-Database"] = database

    async def send(self, call: Call) -> Any:
        """Return the value answered."""
        body = dict(call.named) if call.ids is None else {"ids": list(call.ids), **call.named}
        response = await self._transport.request(
            "POST",
            f"json/2/{segment(call.model)}/{segment(call.method)}",
            content=_content(call, body),
            headers=self._headers,
            write=call.is_write,
            operation=call.operation,
        )
        return read_json2(call, response, redactor=self._transport.redactor)


class JsonRpcProtocol:
    """``execute_kw`` over ``POST /jsonrpc``, logged in once.

    Arguments:
        transport: closed by whoever made it.
        database, login: of the user to work as.
        key: an API key or the password.
    """

    def __init__(self, transport: Transport, *, database: str, login: str, key: str) -> None:
        self._transport = transport
        self._database = database
        self._login = login
        self._key = key
        self._uid: int | None = None
        self._logging_in = asyncio.Lock()
        self._request_ids = count(1)

    async def send(self, call: Call) -> Any:
        """Return the value answered."""
        uid = await self._user()
        named = dict(call.named)
        leading = [named.pop(name) for name in POSITIONAL.get(call.method, ()) if name in named]
        arguments = leading if call.ids is None else [list(call.ids), *leading]
        target = [self._database, uid, self._key, call.model, call.method, arguments, named]
        return await self._execute(call, "object", "execute_kw", target, uid)

    async def _user(self) -> int:
        async with self._logging_in:
            if self._uid is None:
                arguments = [self._database, self._login, self._key, {}]
                uid = await self._execute(_LOGIN, "common", "authenticate", arguments, None)
                if uid is False:
                    message = "login or key is wrong; API keys expire"
                    raise OdooError(FailureKind.AUTH, Reason.AUTH, message, operation=_LOGIN.operation)
                if type(uid) is not int or uid <= 0:
                    raise unexpected_shape(_LOGIN, "no user id")
                self._uid = uid
            return self._uid

    async def _execute(self, call: Call, service: str, method: str, arguments: list[Any], uid: int | None) -> Any:
        request_id = next(self._request_ids)
        body = rpc_body(service, method, arguments, request_id)
        response = await self._transport.request(
            "POST",
            "jsonrpc",
            content=_content(call, body),
            headers=JSON,
            write=call.is_write,
            operation=call.operation,
        )
        redactor = self._transport.redactor
        return read_jsonrpc(call, response, request_id=request_id, uid=uid, redactor=redactor)


def rpc_body(service: str, method: str, arguments: list[Any], request_id: int) -> Mapping[str, Any]:
    """Return the body of a JSON-RPC request."""
    params = {"service": service, "method": method, "args": arguments}
    return {"jsonrpc": "2.0", "method": "call", "id": request_id, "params": params}


def date_of(response: httpx.Response) -> datetime | None:
    """Return the moment an answer was given by the server's clock, ``None`` when it does not say."""
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _content(call: Call, body: Any) -> bytes:
    try:
        return encoded(body)
    except (TypeError, ValueError) as error:
        message = f"the request cannot be encoded: {error}"
        raise OdooError(FailureKind.PERMANENT, Reason.VALIDATION, message, operation=call.operation) from None
