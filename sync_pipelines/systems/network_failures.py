"""What an exchange that ended without a whole answer means."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

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
            return FailureKind.TRANSIENT, f"no connection ({_named(failure)}): {_mend(failure)}"
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


def _mend(failure: Exception) -> str:
    causes = tuple(_causes(failure))
    if isinstance(failure, httpx.PoolTimeout):
        return "too many requests wait for one; are the timeouts too short?"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "the host name is not known; check the address and the DNS"
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "its TLS certificate is not trusted; check the address and the certificates of this machine"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "the TLS handshake failed; does this port speak https?"
    if isinstance(failure, httpx.ConnectTimeout):
        return "nobody answers there; check the address and the firewall"
    return "is it running, and is the address right?"


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it: the HTTP library wraps the one that says why."""
    while failure is not None:
        yield failure
        if isinstance(failure, BaseExceptionGroup):
            for inner in failure.exceptions:
                yield from _causes(inner)
        failure = failure.__cause__ or failure.__context__


def _named(failure: Exception) -> str:
    text = str(failure)
    return f"{type(failure).__name__}: {text}" if text else type(failure).__name__
