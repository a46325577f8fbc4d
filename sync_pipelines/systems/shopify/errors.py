"""What Shopify's answers mean: by status, and by the errors in a body that comes with status 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipelines.core.errors import FailureKind

THROTTLED = "THROTTLED"
MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"

_OF_STATUS: Mapping[int, tuple[FailureKind, str]] = {
    401: (FailureKind.AUTH, "the access token is refused"),
    402: (FailureKind.PERMANENT, "the shop is frozen: its plan has to be paid"),
    403: (FailureKind.AUTH, "access is denied: the app is not installed, or lacks a scope"),
    404: (FailureKind.PERMANENT, "there is no such shop at this address"),
    423: (FailureKind.TRANSIENT, "the shop is locked"),
    430: (FailureKind.TRANSIENT, "the request was taken for an attack"),
}
_OF_CODE: Mapping[str, tuple[FailureKind, str]] = {
    THROTTLED: (FailureKind.RATE_LIMITED, "the query budget is used up"),
    MAX_COST_EXCEEDED: (FailureKind.PERMANENT, "the query is too costly"),
    # One missing scope closes one stream; the token itself is good.
    "ACCESS_DENIED": (FailureKind.PERMANENT, "a scope is missing (read_orders, read_products)"),
    "INTERNAL_SERVER_ERROR": (FailureKind.TRANSIENT, "the shop failed"),
    "TIMEOUT": (FailureKind.TRANSIENT, "the shop took too long"),
}


def of_status(status: int) -> tuple[FailureKind, str]:
    """Return what an answer with another status than 200 means."""
    if status in _OF_STATUS:
        return _OF_STATUS[status]
    if status >= 500:
        return FailureKind.TRANSIENT, "the shop is out of order"
    return FailureKind.PERMANENT, "the request is refused"


def codes(errors: Sequence[Any]) -> list[str]:
    """Return the codes of the errors of a GraphQL answer; an error without one gives none."""
    found = [one.get("extensions") for one in errors if isinstance(one, Mapping)]
    return [str(one["code"]) for one in found if isinstance(one, Mapping) and "code" in one]


def of_errors(errors: Sequence[Any]) -> tuple[FailureKind, str]:
    """Return what the errors of a GraphQL answer mean, with the peer's own words."""
    words = "; ".join(str(one.get("message")) for one in errors if isinstance(one, Mapping)) or str(errors)
    for code in codes(errors):
        if code in _OF_CODE:
            kind, meaning = _OF_CODE[code]
            return kind, f"{meaning}: {words}"
    return FailureKind.PERMANENT, f"the query is refused: {words}"
