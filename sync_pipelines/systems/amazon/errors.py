"""What each answer of Amazon means to a read: the one place where it is decided.

============================================ =================================================
answer                                       meaning
============================================ =================================================
2xx with a JSON object                       fine
2xx with anything else                       transient: a proxy's page, an answer cut off
401, 403; invalid_grant, invalid_client      auth
404 with JSON                                gone
429                                          rate limited: the rest is left to the next run
400 and other 4xx with JSON                  permanent
5xx, 408, 425, any 4xx without JSON          transient
============================================ =================================================
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.transport import body_excerpt

_TRY_AGAIN = frozenset({408, 425})
_LONGEST_MESSAGE = 300
_INVALID_GRANT = "invalid_grant"


def read_answer(peer: str, operation: str, response: httpx.Response, redactor: Redactor) -> dict[str, Any]:
    """Return the JSON object of a good answer. Numbers with a fraction are ``Decimal``: Finances writes amounts so.

    Raises:
        PeerError: classified as in the table above.
    """
    document = _object_or_none(response)
    if response.is_success:
        if document is None:
            message = f"success without a JSON object (a proxy's page?): {body_excerpt(response, redactor)}"
            raise PeerError(peer, FailureKind.TRANSIENT, message, status=response.status_code, operation=operation)
        return document
    kind = _failure_kind(response.status_code, document)
    told = body_excerpt(response, redactor) if document is None else redactor.text(_told(document))[:_LONGEST_MESSAGE]
    request = response.headers.get("x-amzn-RequestId")
    message = (told or "no explanation given") + (f" (request {request})" if request else "") + _hint(kind, document)
    raise PeerError(peer, kind, message, status=response.status_code, operation=operation)


def unexpected_shape(peer: str, operation: str, reason: str) -> PeerError:
    """Return the error for a 2xx whose JSON is not what was expected."""
    return PeerError(
        peer, FailureKind.TRANSIENT, f"the answer has an unexpected shape: {reason:.200}", operation=operation
    )


def _failure_kind(status: int, document: dict[str, Any] | None) -> FailureKind:
    if document is None or status in _TRY_AGAIN or not 400 <= status < 500:
        return FailureKind.TRANSIENT
    # The token host answers 400 to a grant that was withdrawn or has expired.
    if status in (401, 403) or isinstance(document.get("error"), str):
        return FailureKind.AUTH
    return FailureKind.GONE if status == 404 else FailureKind.PERMANENT


def _told(document: dict[str, Any]) -> str:
    errors = document.get("errors")
    if isinstance(errors, list):
        parts = [": ".join(_words(one)) for one in errors if isinstance(one, dict)]
        return "; ".join(part for part in parts if part)
    return ": ".join(str(document[name]) for name in ("error", "error_description") if document.get(name))


def _words(error: dict[str, Any]) -> list[str]:
    return [str(error[name]) for name in ("code", "message", "details") if error.get(name)]


def _hint(kind: FailureKind, document: dict[str, Any] | None) -> str:
    if kind is not FailureKind.AUTH:
        return ""
    if document is not None and document.get("error") == _INVALID_GRANT:
        return " - the seller's consent is over or withdrawn: authorize the application again, consents last a year"
    return " - check the region, the application's roles and the client secret, which has to be rotated"


def _object_or_none(response: httpx.Response) -> dict[str, Any] | None:
    try:
        value = json.loads(response.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
