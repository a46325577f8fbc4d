"""What each answer of the Internet Computer means: the one place where it is decided. All requests are reads.

======================================================== ==========================================
answer                                                   meaning
======================================================== ==========================================
200 with CBOR                                            an answer; it may be a reject, see below
2xx with anything else, any HTML page                    transient
400 that names the expiry or the time                    permanent, :class:`ClockSkew`
400, 404 that name the canister as unknown               gone, :class:`CanisterGone`
401                                                      auth
408, 425, 5xx                                            transient
any other status                                         permanent
reject IC0536, IC0302: no such query                     permanent, :class:`MethodNotOffered`
reject IC0301: no such canister                          gone, :class:`CanisterGone`
reject IC0504: the reply is too large                    permanent, :class:`ReplyTooLarge`
reject IC0207, IC0508, IC0509: without cycles, stopped   transient: its controllers have to act
reject 2 (SYS_TRANSIENT), 6 (SYS_UNKNOWN)                transient
reject 3 (DESTINATION_INVALID)                           gone, :class:`CanisterGone`
rejects 1, 4, 5                                          permanent
======================================================== ==========================================

A reject is answered with status 200. A reply that is not Candid of the expected type is permanent: the interface of the
canister has changed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.internet_computer import cbor
from sync_pipelines.systems.internet_computer.principal import principal_text
from sync_pipelines.systems.transport import body_excerpt

PEER = "internet_computer"

_TRY_AGAIN = frozenset({408, 425})
_EXPIRY = re.compile(r"ingress.?expiry|expir(?:y|ed)|permitted time", re.IGNORECASE)
_NO_CANISTER = re.compile(r"canister[ _]not[ _]found|canister .{0,80}(?:does not exist|not found)", re.IGNORECASE)
_LONGEST_MESSAGE = 300
_CLOCKS_AGREE_SECONDS = 30


class ClockSkew(PeerError):
    """The request was out of its time when it arrived: the clocks differ, or it was held up on the way."""


class CanisterGone(PeerError):
    """There is no canister of this identifier, or no subnet serves it."""


class Rejected(PeerError):
    """The replica or the canister refused a request.

    Attributes:
        reject_code: 1 to 6, as the interface specification numbers them.
        error_code: the replica's own, e.g. ``IC0503``, when it told one.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, reject_code: int, error_code: str | None, operation: str
    ) -> None:
        super().__init__(PEER, kind, message, operation=operation)
        self.reject_code = reject_code
        self.error_code = error_code


class MethodNotOffered(Rejected):
    """The canister has no query of this name."""


class RejectedForGone(Rejected, CanisterGone):
    """The canister is gone, said by a reject."""


class ReplyTooLarge(Rejected):
    """The reply is larger than the 3 MiB that a query may give. Ask for less."""


class NotVerified(PeerError):
    """A signature or a certificate does not prove what an answer says."""


class UnexpectedReply(PeerError):
    """The canister answered, but not with what its interface promises."""


_NOT_OFFERED = "this canister does not offer that method; is it the one that is meant?"
_MEANINGS: dict[str, tuple[type[Rejected], FailureKind, str]] = {
    "IC0207": (Rejected, FailureKind.TRANSIENT, "the canister is out of cycles; its controllers have to top it up"),
    "IC0301": (RejectedForGone, FailureKind.GONE, "check the canister's identifier and the network's address"),
    "IC0302": (MethodNotOffered, FailureKind.PERMANENT, _NOT_OFFERED),
    "IC0503": (Rejected, FailureKind.PERMANENT, "the canister trapped on these arguments"),
    "IC0504": (ReplyTooLarge, FailureKind.PERMANENT, "ask for less at a time"),
    "IC0508": (Rejected, FailureKind.TRANSIENT, "the canister is stopped; its controllers have to start it"),
    "IC0509": (Rejected, FailureKind.TRANSIENT, "the canister is being stopped; its controllers have to start it"),
    "IC0536": (MethodNotOffered, FailureKind.PERMANENT, _NOT_OFFERED),
}
_BY_REJECT_CODE: dict[int, tuple[type[Rejected], FailureKind, str]] = {
    1: (Rejected, FailureKind.PERMANENT, "the replica cannot do this at all"),
    2: (Rejected, FailureKind.TRANSIENT, "the replica is busy; it may work later"),
    3: (RejectedForGone, FailureKind.GONE, "check the canister's identifier and the network's address"),
    4: (Rejected, FailureKind.PERMANENT, "the canister itself refused"),
    5: (Rejected, FailureKind.PERMANENT, "the canister failed"),
    6: (Rejected, FailureKind.TRANSIENT, "the outcome is not known; a read may be sent again"),
}


def read_answer(operation: str, response: httpx.Response, *, redactor: Redactor, now: float) -> dict[str, Any]:
    """Return the map of a good answer.

    Arguments:
        operation, redactor: for the error text.
        response: a whole answer with any status.
        now: what our clock says, in seconds since 1970.

    Raises:
        PeerError: classified as in the table above.
    """
    if not response.is_success:
        raise _refusal(operation, response, redactor, now)
    kind = response.headers.get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() != "application/cbor":
        excerpt = body_excerpt(response, redactor)
        if "\N{REPLACEMENT CHARACTER}" in excerpt:
            # CBOR that is called text says nothing to a person.
            excerpt = ""
        reason = f"the answer is of type {kind!r:.60} and not application/cbor; does a proxy answer?"
        raise PeerError(PEER, FailureKind.TRANSIENT, reason + (f" {excerpt}" if excerpt else ""), operation=operation)
    try:
        value = cbor.decode(response.content)
    except cbor.CborError as error:
        reason = f"the answer of {len(response.content)} bytes is no CBOR: {error}"
        raise PeerError(PEER, FailureKind.TRANSIENT, reason, operation=operation) from None
    if not isinstance(value, dict):
        raise unexpected(operation, f"a map was expected, a {type(value).__name__} came")
    return value


def query_of(method: str, canister: bytes) -> str:
    """Return what errors call a query. Archives are called by names that a stranger chose."""
    return f"query {method if method.isprintable() else repr(method):.60} of {principal_text(canister)}"


def unexpected(operation: str, reason: str) -> UnexpectedReply:
    """Return the error for an answer of another shape than promised."""
    return UnexpectedReply(
        PEER, FailureKind.PERMANENT, f"{reason:.300}; has the interface changed?", operation=operation
    )


def rejection(operation: str, reply: dict[str, Any], redactor: Redactor) -> PeerError:
    """Return the error that a reject stands for."""
    reject_code, message, error_code = reply.get("reject_code"), reply.get("reject_message"), reply.get("error_code")
    if type(reject_code) is not int or not isinstance(message, str) or not isinstance(error_code, str | None):
        return unexpected(operation, "a reject without code or message")
    default = (Rejected, FailureKind.PERMANENT, "this reject code is not known")
    meaning = _MEANINGS.get(error_code or "") or _BY_REJECT_CODE.get(reject_code, default)
    error_type, kind, hint = meaning
    told = redactor.text(message)[:_LONGEST_MESSAGE] or "no explanation"
    code = f", {error_code:.20}" if error_code else ""
    return error_type(
        kind,
        f"rejected (code {reject_code}{code}): {told} - {hint}",
        reject_code=reject_code,
        error_code=error_code,
        operation=operation,
    )


def _refusal(operation: str, response: httpx.Response, redactor: Redactor, now: float) -> PeerError:
    status = response.status_code
    text = body_excerpt(response, redactor) or "no explanation"
    error_type, kind, hint = PeerError, FailureKind.PERMANENT, ""
    is_page = "html" in response.headers.get("Content-Type", "") or response.content.lstrip()[:1] == b"<"
    if status == 401:
        kind, hint = FailureKind.AUTH, " - a login is asked for; is this the address of a gateway?"
    elif status in _TRY_AGAIN or status >= 500 or is_page:
        kind = FailureKind.TRANSIENT
    elif status == 400 and _EXPIRY.search(text):
        error_type, hint = ClockSkew, f" - {_told_of_clocks(response, now)}"
    elif status in (400, 404) and _NO_CANISTER.search(text):
        error_type, kind = CanisterGone, FailureKind.GONE
        hint = " - check the canister's identifier and the network's address"
    elif status == 404:
        hint = " - is this the address of an Internet Computer gateway or replica?"
    elif status == 413:
        hint = " - ask for less at a time"
    return error_type(PEER, kind, text + hint, status=status, operation=operation)


def _told_of_clocks(response: httpx.Response, now: float) -> str:
    ours = datetime.fromtimestamp(now, UTC)
    said = f"our clock says {ours:%Y-%m-%d %H:%M:%S} UTC"
    try:
        theirs = parsedate_to_datetime(response.headers["Date"])
        ahead = round((ours - theirs).total_seconds())
    except (KeyError, ValueError, TypeError):
        return f"{said}, and the server does not say what its own does; set the clock of this machine (NTP)"
    said += f", the server's Date header {theirs:%Y-%m-%d %H:%M:%S}"
    if abs(ahead) <= _CLOCKS_AGREE_SECONDS:
        return f"{said}: they agree, so that the replica behind it is late or a proxy held the request back"
    way = "fast" if ahead > 0 else "slow"
    return f"{said}: ours is {abs(ahead)} s {way} if the server is right; set the clock of this machine (NTP)"
