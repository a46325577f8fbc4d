"""What an exchange that ended without a whole answer means."""

from __future__ import annotations

import httpx

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.response_body import BodyBroken, BodyTooLarge


def classify_network_failure(failure: Exception, is_write: bool) -> tuple[FailureKind, str]:
    """Return how to treat a failure and what to tell.

    A write is transient only when no connection was made: then nothing was sent. Anything later is ambiguous, because a
    peer works on after its client has gone (Waldur committed 10 of 10 creates whose client gave up after 20 ms).
    """
    unknown = FailureKind.AMBIGUOUS if is_write else FailureKind.TRANSIENT
    match failure:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.ProxyError():
            return FailureKind.TRANSIENT, f"no connection ({_named(failure)})"
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | httpx.InvalidURL():
            return FailureKind.PERMANENT, f"the request cannot be sent ({_named(failure)})"
        case BodyTooLarge():
            return FailureKind.AMBIGUOUS if is_write else FailureKind.PERMANENT, f"the answer is too large: {failure}"
        case BodyBroken():
            return unknown, f"the answer is damaged: {failure}"
        case httpx.TimeoutException() | TimeoutError():
            return unknown, f"no whole answer in time ({type(failure).__name__})"
        case _:
            return unknown, f"the connection broke before the whole answer came ({_named(failure)})"


def _named(failure: Exception) -> str:
    text = str(failure)
    return f"{type(failure).__name__}: {text}" if text else type(failure).__name__
