"""Reading answers of both protocols: the value of a good one, a classified error for any other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.odoo.calls import Call
from sync_pipelines.systems.odoo.errors import (
    LONGEST_MESSAGE,
    OdooError,
    Reason,
    hint,
    is_lost_race,
    meaning,
    unexpected_shape,
    unknown,
)
from sync_pipelines.systems.transport import body_excerpt

_PERMANENT_PAGES = frozenset({413, 414, 415, 431})
_UNKNOWN_STATUSES = frozenset({408, 425, 502, 503, 504})
_NO_DATABASE_PAGE = b"No database is selected"
# Texts of /jsonrpc, sent as text/html with status 400.
_JSONRPC_REFUSALS = (b"Invalid JSON data", b"Invalid JSON-RPC data")


class NotJson(ValueError):
    """A body that is no JSON."""


def decoded(content: bytes) -> Any:
    """Return the JSON of a body; numbers with a fraction are ``Decimal``.

    Odoo stores NaN and infinite prices and answers them as they are, which no JSON allows. They become ``Decimal`` NaN
    and infinity here, so that only the row that holds one is refused, and not the hundreds around it.

    Raises:
        NotJson: the body is none.
    """
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError):
        raise NotJson from None


def read_json2(call: Call, response: httpx.Response, *, redactor: Redactor) -> Any:
    """Return the value that a JSON-2 call answered.

    Raises:
        OdooError: classified as ``errors.py`` tells.
    """
    if not response.is_success:
        raise refusal(call, response, redactor=redactor)
    return _value(call, _json(call, response), redactor)


def read_jsonrpc(call: Call, response: httpx.Response, *, request_id: int, uid: int | None, redactor: Redactor) -> Any:
    """Return the value that a JSON-RPC call answered, ``None`` for a method that returns nothing.

    Arguments:
        request_id: the id that was sent.
        uid: the user that the call was made as.

    Raises:
        OdooError: classified as ``errors.py`` tells.
    """
    if not response.is_success:
        raise refusal(call, response, redactor=redactor)
    body = _json(call, response)
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise unexpected_shape(call, "no JSON-RPC; is this an Odoo server?")
    # An error may come without the id of what it answers.
    known = (request_id, None) if "error" in body else (request_id,)
    if body.get("id") not in known:
        raise unexpected_shape(call, "the answer of another request; a proxy mixes up answers")
    if "error" in body:
        error = body["error"]
        data = error.get("data") if isinstance(error, dict) else None
        raise _named_error(call, data if isinstance(data, dict) else {}, response, redactor, uid)
    # A method that returns None is answered without a result.
    return _value(call, body.get("result"), redactor)


def refusal(call: Call, response: httpx.Response, *, redactor: Redactor) -> OdooError:
    """Return the error for an answer that is not 2xx."""
    status = response.status_code
    if status not in _UNKNOWN_STATUSES:
        try:
            body = decoded(response.content)
        except NotJson:
            body = None
        if isinstance(body, dict) and isinstance(body.get("name"), str):
            return _named_error(call, body, response, redactor, None)
        if isinstance(body, dict) and 400 <= status < 500 and status != 401:
            return _told(call, FailureKind.PERMANENT, Reason.UNKNOWN, "refused without a reason", response)
    kind, reason = _page_meaning(call, response)
    message = body_excerpt(response, redactor) if "json" not in response.headers.get("Content-Type", "") else ""
    return _told(call, kind, reason, message[:LONGEST_MESSAGE] or "no explanation given", response)


def _page_meaning(call: Call, response: httpx.Response) -> tuple[FailureKind, Reason]:
    status, content = response.status_code, response.content
    if status == 401:
        return FailureKind.AUTH, Reason.AUTH
    if status == 404 and _NO_DATABASE_PAGE in content:
        # The header names an unknown database, or there are several and it names none.
        return FailureKind.AUTH, Reason.SETTING
    if status in _PERMANENT_PAGES or (status == 400 and content.strip() in _JSONRPC_REFUSALS):
        return FailureKind.PERMANENT, Reason.BAD_CALL
    return unknown(call), Reason.UNKNOWN


def _named_error(
    call: Call, data: Mapping[str, Any], response: httpx.Response, redactor: Redactor, uid: int | None
) -> OdooError:
    name, message = str(data.get("name") or ""), str(data.get("message") or "")
    kind, reason = meaning(call, name, message, uid=uid)
    if response.status_code == 401:
        kind, reason = FailureKind.AUTH, Reason.AUTH
    elif reason is Reason.UNKNOWN and 400 <= response.status_code < 500:
        kind = FailureKind.PERMANENT
    shown = " ".join(redactor.text(message).split())[:LONGEST_MESSAGE] or name or "no explanation given"
    return _told(call, kind, reason, shown, response, name=name)


def _told(
    call: Call, kind: FailureKind, reason: Reason, message: str, response: httpx.Response, *, name: str = ""
) -> OdooError:
    return OdooError(
        kind,
        reason,
        message + hint(call, kind, reason, message),
        name=name,
        status=response.status_code,
        operation=call.operation,
    )


def _json(call: Call, response: httpx.Response) -> Any:
    try:
        return decoded(response.content)
    except NotJson:
        page = " (a login page?)" if response.content.lstrip()[:1] == b"<" else ""
        reason = f"{len(response.content)} bytes that are no JSON{page}; was the answer cut?"
        raise unexpected_shape(call, reason) from None


def _value(call: Call, value: Any, redactor: Redactor) -> Any:
    if call.method != "load" or not isinstance(value, dict) or not isinstance(value.get("messages"), list):
        return value
    for message in value["messages"]:
        text = message.get("message") if isinstance(message, dict) else None
        if not isinstance(text, str):
            continue
        message["message"] = shown = " ".join(redactor.text(text).split())[:LONGEST_MESSAGE]
        if not value.get("ids") and is_lost_race(text):
            # load catches the exception and answers 200; nothing was stored, and it may be sent again.
            raise OdooError(FailureKind.TRANSIENT, Reason.CONFLICT, shown, operation=call.operation)
    return value
