"""What each answer of Waldur means: the one place where it is decided.

=========================================== ================ ===================
answer                                      to a read        to a write
=========================================== ================ ===================
2xx with the JSON (or no body) expected     fine             fine
2xx with HTML, damaged JSON, wrong shape    transient        ambiguous
401                                         auth             auth
404 with JSON or an empty body              gone             gone
other 4xx with JSON, 413, 414, 431          permanent        permanent
5xx, 408, 425, any HTML                     transient        ambiguous
=========================================== ================ ===================

A 5xx says nothing about a write: with its message broker down Waldur answers 500 after the commit, and after a database
integrity error it answers the same page with nothing done.
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

ILLEGAL_TRANSITION = "Offering state is invalid."
INVALID_PAGE = "Invalid page."
_TOO_LARGE = frozenset({413, 414, 431})
_TRY_AGAIN = frozenset({408, 425})
_LONGEST_MESSAGE = 300


class IllegalTransition(PeerError):
    """The state action is not allowed from the current state: read it again, it may be the wanted one already."""


class NeedsStaff(PeerError):
    """Only staff may do this, and no staff token is configured."""


class PageGone(PeerError):
    """The list has become shorter than the page asked for."""


def read_answer(peer: str, operation: str, response: httpx.Response, *, write: bool, redactor: Redactor) -> Any:
    """Return the JSON of a good answer, ``None`` for an empty body.

    Numbers with a fraction are ``Decimal``.

    Arguments:
        peer, operation, redactor: for the error text.
        response: a whole answer with any status.
        write: whether the request could change something.

    Raises:
        PeerError: classified as in the table above.
    """
    if response.is_success:
        return _good_answer(peer, operation, response, write, redactor)
    kind = failure_kind(response, write=write)
    message = _message(response, redactor)
    error_type = _error_type(response, message)
    raise error_type(
        peer, kind, message + _hint(response.status_code, kind), status=response.status_code, operation=operation
    )


def failure_kind(response: httpx.Response, *, write: bool) -> FailureKind:
    """Return how to treat an answer that is not 2xx."""
    status = response.status_code
    unknown = FailureKind.AMBIGUOUS if write else FailureKind.TRANSIENT
    if status == 401:
        return FailureKind.AUTH
    if status in _TOO_LARGE:
        return FailureKind.PERMANENT
    if status in _TRY_AGAIN or not 400 <= status < 500:
        return unknown
    # update_offering_component answers 404 without a body for a component that is not there.
    if status == 404 and not response.content:
        return FailureKind.GONE
    if _json_or_none(response) is None:
        return unknown
    return FailureKind.GONE if status == 404 else FailureKind.PERMANENT


def unexpected_shape(peer: str, operation: str, *, write: bool, reason: str) -> PeerError:
    """Return the error for a 2xx whose JSON is not what was expected. A create may have been done all the same."""
    kind = FailureKind.AMBIGUOUS if write else FailureKind.TRANSIENT
    return PeerError(peer, kind, f"the answer has an unexpected shape: {reason:.200}", operation=operation)


def _good_answer(peer: str, operation: str, response: httpx.Response, write: bool, redactor: Redactor) -> Any:
    if not response.content:
        return None
    value = _json_or_none(response)
    if value is None and response.content.strip() != b"null":
        unknown = FailureKind.AMBIGUOUS if write else FailureKind.TRANSIENT
        message = f"success without readable JSON (a login page or a cut answer?): {body_excerpt(response, redactor)}"
        raise PeerError(peer, unknown, message, status=response.status_code, operation=operation)
    return value


def _json_or_none(response: httpx.Response) -> Any:
    if "json" not in response.headers.get("Content-Type", "json"):
        return None
    try:
        return json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _error_type(response: httpx.Response, message: str) -> type[PeerError]:
    if response.status_code == 400 and message == ILLEGAL_TRANSITION:
        return IllegalTransition
    if response.status_code == 404 and message == INVALID_PAGE:
        return PageGone
    return PeerError


def _message(response: httpx.Response, redactor: Redactor) -> str:
    value = _json_or_none(response)
    if value is None:
        return body_excerpt(response, redactor) or "no explanation given"
    return redactor.text("; ".join(_sentences(value, "")))[:_LONGEST_MESSAGE]


def _sentences(value: Any, path: str) -> Iterator[str]:
    """Yield the messages of an error body: bare lists, ``{"detail": ...}``, or nested by field."""
    match value:
        case dict():
            for name, inner in value.items():
                here = "" if name in ("detail", "details") else name
                yield from _sentences(inner, f"{path}.{here}".strip("."))
        case list():
            for index, inner in enumerate(value):
                yield from _sentences(inner, path if isinstance(inner, str) else f"{path}[{index}]")
        case _:
            yield f"{path}: {value}" if path else str(value)


def _hint(status: int, kind: FailureKind) -> str:
    if kind is FailureKind.AUTH:
        return " - check the token; tokens expire when unused, unless the user's token_lifetime is empty"
    if status == 404 and kind is not FailureKind.GONE:
        return " - the server does not know this path: check the base URL and the server's version"
    return ""
