"""What each answer of a Director means: the one place where it is decided. All requests are reads.

===================================================== ===================================
answer                                                meaning
===================================================== ===================================
2xx with JSON, whatever its content type              fine
2xx with anything else                                transient
401 with JSON code 600000                             permanent, :class:`Forbidden`
any other 401                                         auth
404 with JSON code 70000                              gone, :class:`DeploymentGone`
404 with JSON code 10000                              transient, :class:`TaskGone`
408, 425, 5xx, any HTML page                          transient
any other status                                      permanent
===================================================== ===================================

A Director says ``text/html`` of most of its JSON, so the body decides and not its type. Texts of good answers never get
into an error: a manifest is full of passwords.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.transport import body_excerpt

FORBIDDEN = 600000
DEPLOYMENT_GONE = 70000
TASK_GONE = 10000

_TRY_AGAIN = frozenset({408, 425})
_LONGEST_MESSAGE = 300


class Forbidden(PeerError):
    """The login is good, but its scopes do not suffice. A fresh token of the same client carries the same scopes."""


class DeploymentGone(PeerError):
    """The Director has no deployment of this name."""


class InvalidName(PeerError):
    """A deployment name that cannot be one segment of a path. Nothing was sent."""


class TaskFailed(PeerError):
    """A task did not bring the result that was asked for. The deployment itself may be in order."""


class TaskCancelled(TaskFailed):
    """Somebody cancelled the task."""


class TaskTimedOut(TaskFailed):
    """The Director gave the task up, or it was not done when our time was over."""


class TaskGone(TaskFailed):
    """The Director keeps a few tasks of each kind only, and has thrown this one away."""


def read_answer(peer: str, operation: str, response: httpx.Response, *, redactor: Redactor) -> Any:
    """Return the JSON of a good answer.

    Arguments:
        peer, operation, redactor: for the error text.
        response: a whole answer with any status.

    Raises:
        PeerError: classified as in the table above.
    """
    refuse_failure(peer, operation, response, redactor=redactor)
    try:
        return orjson.loads(response.content)
    except ValueError:
        raise unexpected_shape(peer, operation, _told_of(response.content)) from None


def refuse_failure(peer: str, operation: str, response: httpx.Response, *, redactor: Redactor) -> None:
    """Raise ``PeerError``, classified as in the table above, unless the answer is a success."""
    if response.is_success:
        return
    code, description = error_body(response)
    message = redactor.text(description)[:_LONGEST_MESSAGE] or body_excerpt(response, redactor) or "no explanation"
    error_type, kind = _meaning(response, code)
    hint = _hint(response, code, kind)
    raise error_type(peer, kind, message + hint, status=response.status_code, operation=operation)


def is_dead_login(response: httpx.Response) -> bool:
    """Whether the credential itself was refused: a fresh one may help.

    The Director answers a bad login with text (``Not authorized: '/deployments'``) and a missing scope with JSON, both
    with status 401. ``WWW-Authenticate`` is no sign: it is on every answer.
    """
    return response.status_code == 401 and error_body(response)[0] != FORBIDDEN


def error_body(response: httpx.Response) -> tuple[int | None, str]:
    """Return code and description of the Director's ``{"code": 70000, "description": "..."}``, if it is one."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        return None, ""
    if not isinstance(body, dict) or type(body.get("code")) is not int:
        return None, ""
    return body["code"], str(body.get("description", ""))


def unexpected_shape(peer: str, operation: str, reason: str) -> PeerError:
    """Return the error for a 2xx whose body is not what was expected. The reason must hold no text of the body."""
    return PeerError(
        peer, FailureKind.TRANSIENT, f"the answer has an unexpected shape: {reason:.200}", operation=operation
    )


def _meaning(response: httpx.Response, code: int | None) -> tuple[type[PeerError], FailureKind]:
    status = response.status_code
    if status == 401:
        return (Forbidden, FailureKind.PERMANENT) if code == FORBIDDEN else (PeerError, FailureKind.AUTH)
    if status == 404 and code == DEPLOYMENT_GONE:
        return DeploymentGone, FailureKind.GONE
    if status == 404 and code == TASK_GONE:
        # Not "gone": that would be said of the deployment, which may well be there.
        return TaskGone, FailureKind.TRANSIENT
    if status in _TRY_AGAIN or status >= 500 or (code is None and _is_page(response)):
        return PeerError, FailureKind.TRANSIENT
    return PeerError, FailureKind.PERMANENT


def _is_page(response: httpx.Response) -> bool:
    """Whether a proxy wrote this. The Director's own texts are of type text/html too, but are plain."""
    return response.content.lstrip()[:1] == b"<"


def _told_of(content: bytes) -> str:
    if not content:
        return "an empty body"
    page = " (a login page?)" if content.lstrip()[:1] == b"<" else ""
    return f"{len(content)} bytes that are no JSON{page}; was the answer cut?"


def _hint(response: httpx.Response, code: int | None, kind: FailureKind) -> str:
    if kind is FailureKind.AUTH:
        return " - check user or client, its secret, and whether the Director wants basic or UAA logins"
    if code == FORBIDDEN:
        return " - give the client one of these scopes; bosh.read suffices"
    if response.status_code == 404 and code is None:
        return " - is this the address of a BOSH Director?"
    if response.status_code == 500 and not response.content:
        return " - the Director failed inside; its debug log says why"
    return ""
