"""Whether a refusal is about one deployment, or about all of them."""

from __future__ import annotations

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable


def is_of_the_director(error: PeerError) -> bool:
    """Say whether the Director as a whole refuses (login refused, out of reach), so that asking on is no use."""
    return isinstance(error, PeerUnavailable) or error.kind in (FailureKind.AUTH, FailureKind.RATE_LIMITED)
