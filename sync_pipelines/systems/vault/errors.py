"""What each answer of Vault means: the one place where it is decided.

================================================ ============== ==================
answer                                           to a read      to a write
================================================ ============== ==================
2xx with a JSON object, 204                      fine           fine
2xx with anything else                           transient      ambiguous
307 and other redirects                          permanent      permanent
400 "check-and-set parameter did not match"      --             CasMismatch
400 "Upgrading from non-versioned"               transient      transient
403                                              Forbidden      Forbidden
404 {"errors": []}                               gone           gone
404 with data                                    DeletedVersion --
404 with an explanation                          permanent      permanent
429                                              rate limited   rate limited
500 "value being too large", 413, other 4xx      permanent      permanent
503 "Vault is sealed"                            Sealed         Sealed
other 5xx, no JSON                               transient      ambiguous
================================================ ============== ==================

403 is the answer to a dead token and to a policy alike. The session finds out which it is, so that what arrives here is
the policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.transport import body_excerpt
from sync_pipelines.systems.vault.documents import read_json
from sync_pipelines.systems.vault.paths import PEER

_LONGEST_MESSAGE = 300


class CasMismatch(PeerError):
    """The secret has another version than the one named: somebody else wrote it. Nothing was written."""


class Forbidden(PeerError):
    """The token is good, and its policies do not allow this on this path."""


class DeletedVersion(PeerError):
    """The version is there and its data is deleted or destroyed; unlike a path that never was."""

    version: int = 0


class Sealed(PeerError):
    """Nobody can read or write until an operator unseals the server."""


def read_answer(operation: str, response: httpx.Response, *, write: bool, redactor: Redactor) -> dict[str, Any] | None:
    """Return the JSON object of a good answer, ``None`` for an empty one.

    Arguments:
        operation, redactor: for the error text.
        response: a whole answer with any status.
        write: whether the request could change something.

    Raises:
        PeerError: classified as in the table above.
    """
    if response.status_code == 204:
        # It is announced as JSON all the same.
        return None
    body = _object_or_none(response)
    if response.is_success:
        if body is None:
            message = f"success without a JSON object: {_page(response, redactor)}"
            raise PeerError(PEER, _unknown(write), message, status=response.status_code, operation=operation)
        return body
    raise _refusal(operation, response, body, write, redactor)


def unexpected_shape(operation: str, reason: str, *, write: bool) -> PeerError:
    """Return the error for a good answer whose JSON is not what was expected."""
    return PeerError(PEER, _unknown(write), f"the answer has an unexpected shape: {reason}", operation=operation)


def _refusal(
    operation: str, response: httpx.Response, body: dict[str, Any] | None, write: bool, redactor: Redactor
) -> PeerError:
    status = response.status_code

    def refused(kind: FailureKind, message: str, error_type: Callable[..., PeerError] = PeerError) -> PeerError:
        return error_type(PEER, kind, redactor.text(message), status=status, operation=operation)

    if 300 <= status < 400:
        location = response.headers.get("Location", "")
        mend = "is the path clean, and is this the active node?"
        return refused(FailureKind.PERMANENT, f"redirected to {location!r}, which is not followed: {mend}")
    errors = body.get("errors") if body else None
    if body is None or (not isinstance(errors, list) and "data" not in body):
        kind = FailureKind.PERMANENT if status == 413 else _unknown(write)
        return refused(kind, f"no answer of Vault's own: {_text(response, redactor)}")
    if status == 404:
        return _missing(body, refused, redactor)
    message = _sentence(errors, redactor)
    match status:
        case 403:
            reason = f"{message} - the token's policies do not allow this; the path is in the brackets above"
            return refused(FailureKind.PERMANENT, reason, Forbidden)
        case 400 if "check-and-set parameter did not match" in message:
            return refused(FailureKind.PERMANENT, "somebody else wrote this secret meanwhile", CasMismatch)
        case 400 if "Upgrading from non-versioned" in message:
            return refused(FailureKind.TRANSIENT, message)
        case 400 if "refused JSON input due to high complexity" in message:
            # OpenBao takes 1000 texts a request, which an index of some 90 entries exceeds.
            mend = "raise max_request_json_strings (and _memory) in the server's listener"
            return refused(
                FailureKind.PERMANENT, f"the secret has more parts than the server takes: {message} - {mend}"
            )
        case 500 if "value being too large" in message:
            # Found before anything is stored: the version is not counted.
            mend = "raise max_entry_size of the server's storage"
            return refused(FailureKind.PERMANENT, f"the secret is larger than the server stores: {message} - {mend}")
        case 503 if "sealed" in message.lower():
            return refused(FailureKind.TRANSIENT, "Vault is sealed - an operator has to unseal it", Sealed)
    if 400 <= status < 500 and status not in (408, 425):
        return refused(FailureKind.PERMANENT, message)
    return refused(_unknown(write), message)


def _missing(body: dict[str, Any], refused: Callable[..., PeerError], redactor: Redactor) -> PeerError:
    data = body.get("data")
    if isinstance(data, dict) and isinstance(data.get("metadata"), dict):
        error = refused(FailureKind.GONE, "this version was deleted", DeletedVersion)
        version = data["metadata"].get("version")
        if isinstance(error, DeletedVersion) and isinstance(version, int):
            error.version = version
        return error
    if warnings := body.get("warnings"):
        # Told to who leaves out "data/": the mount has versions.
        mend = "the mount is KV version 2; set its version, or have it detected"
        return refused(FailureKind.PERMANENT, f"{_sentence(warnings, redactor)} - {mend}")
    if body.get("errors") == []:
        return refused(FailureKind.GONE, "no such secret")
    return refused(
        FailureKind.PERMANENT, f"{_sentence(body.get('errors'), redactor)} - check the mount and the namespace"
    )


def _object_or_none(response: httpx.Response) -> dict[str, Any] | None:
    if "json" not in response.headers.get("Content-Type", "json"):
        return None
    try:
        value = read_json(response.content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _sentence(errors: Any, redactor: Redactor) -> str:
    texts = [" ".join(str(error).split()) for error in errors] if isinstance(errors, list) else []
    # Redacted before it is cut: half a secret would not be recognized.
    return redactor.text("; ".join(texts))[:_LONGEST_MESSAGE] or "no explanation given"


def _text(response: httpx.Response, redactor: Redactor) -> str:
    return body_excerpt(response, redactor) or "an empty body"


def _page(response: httpx.Response, redactor: Redactor) -> str:
    # Anything but a page may be half of a secret.
    if "html" in response.headers.get("Content-Type", ""):
        return f"a page that says {_text(response, redactor)!r}; is this address Vault's?"
    return "was the answer cut on its way?"


def _unknown(write: bool) -> FailureKind:
    return FailureKind.AMBIGUOUS if write else FailureKind.TRANSIENT
