"""Faults that only a replica has. The others are those of every stand-in: see :mod:`sync_pipelines.sandbox.faults`.

A node that lags, a tail that is rewritten and a canister that is installed anew are
:class:`~sync_pipelines.sandbox.internet_computer.ledger_world.LedgerWorld`'s own.
"""

from __future__ import annotations

from enum import IntEnum

from sync_pipelines.sandbox.faults import ArmedFault, FaultInjector, FaultKind
from sync_pipelines.sandbox.internet_computer.canister import Reject, too_large
from sync_pipelines.sandbox.internet_computer.replica import REPLY_LIMIT, ArmedReject, Replica

QUERY = r"/canister/[^/]+/query$"
"""The path of all queries."""
READ_STATE = r"/read_state$"
"""The path of all certificates."""


class RejectCode(IntEnum):
    """Why a query is rejected."""

    SYS_FATAL = 1
    SYS_TRANSIENT = 2
    DESTINATION_INVALID = 3
    CANISTER_REJECT = 4
    CANISTER_ERROR = 5
    SYS_UNKNOWN = 6


_USUAL = {
    RejectCode.SYS_FATAL: ("Canister is out of cycles", "IC0207"),
    RejectCode.SYS_TRANSIENT: ("Subnet is overloaded, try again later", "IC0512"),
    RejectCode.DESTINATION_INVALID: ("Canister not found", "IC0301"),
    RejectCode.CANISTER_REJECT: ("the canister rejected the message", "IC0406"),
    RejectCode.CANISTER_ERROR: ("Canister is stopped", "IC0508"),
    RejectCode.SYS_UNKNOWN: ("the outcome of the call is unknown", ""),
}


def reject(
    replica: Replica,
    code: int,
    message: str | None = None,
    error_code: str | None = None,
    *,
    method: str = ".*",
    times: int | None = None,
    skip: int = 0,
) -> ArmedReject:
    """Reject queries, with HTTP 200 as all rejects.

    Arguments:
        code: reject code, 1 to 6.
        message, error_code: what is told; something usual for the code without them.
        method: regular expression the whole method must match.
        times: how many queries; ``None`` means all until ``replica.rejects`` is cleared.
        skip: such queries that are answered before.
    """
    usual_message, usual_error = _USUAL[RejectCode(code)]
    told = Reject(
        code,
        usual_message if message is None else message,
        usual_error if error_code is None else error_code,
    )
    return _armed(replica, told, method, times, skip)


def reply_too_large(replica: Replica, canister_id: str, *, method: str = ".*", times: int | None = None) -> ArmedReject:
    """Reject queries as if their replies exceeded the limit."""
    return _armed(replica, too_large(canister_id, REPLY_LIMIT + 1, REPLY_LIMIT), method, times, 0)


def wrong_content_type(faults: FaultInjector, *, times: int | None = None) -> ArmedFault:
    """Send answers as they are, but say that they are text."""
    return faults.add(FaultKind.HEADERS, path=QUERY, headers={"content-type": "text/plain"}, times=times)


def rate_limited(faults: FaultInjector, *, retry_after: str | None = None, times: int | None = None) -> ArmedFault:
    """Answer 429 as boundary nodes do."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    body = "error: rate_limited\ndetails: Rate limited"
    options = {"status": 429, "body": body, "content_type": "text/plain; charset=utf-8", "headers": headers}
    return faults.add(FaultKind.STATUS, path=QUERY, times=times, **options)


def _armed(replica: Replica, told: Reject, method: str, times: int | None, skip: int) -> ArmedReject:
    armed = ArmedReject(told, method, times, skip)
    replica.rejects.append(armed)
    return armed
