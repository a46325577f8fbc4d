"""Mishaps of writes, and skewed listings, for subjects whose target is an HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sync_pipelines.sandbox.rewriting import Lie, Rewrite
from sync_pipelines_tests.conformance.subject import Mishap, ServedPeer, Skew, Step

_WRITES = "POST|PUT|PATCH|DELETE"
_TOLD = "refused by the test"
_JSON: Mapping[str, Any] = {
    "content_type": "application/json",
    # Each system has a word of its own for what is wrong.
    "body": json.dumps({"detail": _TOLD, "errors": ["refused"], "name": "", "code": "refused", "message": _TOLD}),
}
_FAULTS: Mapping[Mishap, Mapping[str, Any]] = {
    Mishap.REFUSED: {"kind": "status", "status": 400, **_JSON},
    Mishap.ROLLED_BACK: {"kind": "status", "status": 500},
    Mishap.ERROR_AFTER_COMMIT: {"kind": "error_after_commit"},
    Mishap.REPLY_LOST: {"kind": "drop_after_commit"},
    Mishap.UNAUTHORIZED: {"kind": "status", "status": 401, **_JSON},
}

_LIES: Mapping[Skew, Lie] = {
    Skew.ROW_MISSING: Lie.OMITTED,
    Skew.TOTAL_TOO_LARGE: Lie.TOTAL,
}


def hinder_served(peer: ServedPeer, step: Step, mishap: Mishap, *, times: int | None, skip: int) -> None:
    """Arm the fault that makes a mishap of the peer's next writes; arguments as ``Subject.hinder``."""
    path = peer.create if step == "create" else peer.change
    peer.faults.add(method=_WRITES, path=path, times=times, skip=skip, **_FAULTS[mishap])


@contextmanager
def skewed_served(peer: ServedPeer, skew: Skew) -> Iterator[None]:
    """Skew the peer's listing within the block."""
    rewrite = Rewrite(peer.twice if skew is Skew.ROW_TWICE else _LIES[skew])
    where = {"path": peer.listing, "query": peer.listing_query, "sent": peer.listing_sent}
    fault = peer.faults.add("rewrite", method=peer.reads, rewrite=rewrite, **where)
    yield
    peer.faults.remove(fault)
