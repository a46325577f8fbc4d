"""The requests that we send: their content, and the envelope around it. All are anonymous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cbor2

from sync_pipelines.systems.internet_computer.cbor import SELF_DESCRIBED
from sync_pipelines.systems.internet_computer.principal import ANONYMOUS
from sync_pipelines.systems.internet_computer.request_id import Hashable

EXPIRY_SECONDS = 240
"""How long requests are good for, at most. The mainnet takes five minutes: the rest is for a clock that is fast."""

_MINUTE = 60
_NANOSECONDS = 1_000_000_000


def ingress_expiry(now: float) -> int:
    """Return when a request made now runs out, in nanoseconds since 1970.

    On the whole minute, as the JavaScript agent has it: equal queries within a minute then have one request id, and
    boundary nodes may answer them from their cache.

    Arguments:
        now: seconds since 1970.
    """
    return (int(now) + EXPIRY_SECONDS) // _MINUTE * _MINUTE * _NANOSECONDS


def query_content(canister: bytes, method: str, arg: bytes, expiry: int) -> dict[str, Hashable]:
    """Return what is asked by a query. ``arg`` is Candid; ``expiry`` as by :func:`ingress_expiry`."""
    return {
        "request_type": "query",
        "sender": ANONYMOUS,
        "canister_id": canister,
        "method_name": method,
        "arg": arg,
        "ingress_expiry": expiry,
    }


def read_state_content(paths: Sequence[Sequence[bytes]], expiry: int) -> dict[str, Hashable]:
    """Return what is asked of the state tree: the subtrees at the paths."""
    return {"request_type": "read_state", "sender": ANONYMOUS, "paths": paths, "ingress_expiry": expiry}


def envelope(content: Mapping[str, Hashable]) -> bytes:
    """Return the body of a request. Without key and signature, which anonymous requests must leave out."""
    return cbor2.dumps(cbor2.CBORTag(SELF_DESCRIBED, {"content": content}))
