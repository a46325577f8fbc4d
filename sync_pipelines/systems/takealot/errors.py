"""What each answer of Takealot means: the one place where it is decided.

===================================== ============
answer                                kind
===================================== ============
2xx with the JSON expected            fine
2xx with HTML, damaged or other JSON  transient
401, 403 with JSON                    auth
404 with an empty body                gone
other 4xx with JSON                   permanent
5xx, 408, 425, any HTML               transient
===================================== ============

A missing or unknown key is 403, not 401. A 403 of HTML is a firewall's, which says nothing of the key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.transport import body_excerpt

PEER = "takealot"

_TRY_AGAIN = frozenset({408, 425})
_LONGEST_MESSAGE = 300


def read_answer(operation: str, response: httpx.Response, redactor: Redactor) -> Any:
    """Return the JSON of a good answer to a read; numbers with a fraction are ``Decimal``.

    Raises:
        PeerError: classified as in the table above.
    """
    value = _json_or_none(response)
    if response.is_success and value is not None:
        return value
    kind = _failure_kind(response, value)
    message = redactor.text("; ".join(_sentences(value)))[:_LONGEST_MESSAGE] or body_excerpt(response, redactor)
    if response.is_success:
        message = f"success without readable JSON (a login page or a cut answer?): {message}"
    if kind is FailureKind.AUTH:
        message += " - check the API key: making a new one in the seller portal ends the old one"
    raise PeerError(PEER, kind, message or "no explanation given", status=response.status_code, operation=operation)


def unexpected_shape(operation: str, reason: str) -> PeerError:
    """Return the error for a good answer whose JSON is not what was expected."""
    message = f"the answer has an unexpected shape: {reason:.200}"
    return PeerError(PEER, FailureKind.TRANSIENT, message, operation=operation)


def _failure_kind(response: httpx.Response, value: Any) -> FailureKind:
    status = response.status_code
    if status == 404 and not response.content:
        return FailureKind.GONE
    if status in _TRY_AGAIN or not 400 <= status < 500 or value is None:
        return FailureKind.TRANSIENT
    return FailureKind.AUTH if status in (401, 403) else FailureKind.PERMANENT


def _json_or_none(response: httpx.Response) -> Any:
    if "json" not in response.headers.get("Content-Type", "json"):
        return None
    try:
        return json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _sentences(value: Any) -> Iterator[str]:
    """Yield the texts of ``{"errors": [{"title"}]}``, ``{"title"}`` or ``{"message"}``."""
    if not isinstance(value, dict):
        return
    for name in ("title", "message"):
        if isinstance(value.get(name), str):
            yield value[name]
    errors = value.get("errors")
    for error in errors if isinstance(errors, list) else ():
        yield from _sentences(error)
