"""What a transport asks before and tells after each request, so that all runs together respect a peer."""

from __future__ import annotations

from typing import Protocol

from sync_pipelines.core.errors import PeerError


class Throttle(Protocol):
    """Rate limit and circuit breaker of a peer, shared by every run that talks to it."""

    async def admit(self, peer: str) -> None:
        """Wait for a turn. Raises ``PeerError`` (transient) while the breaker is open."""

    async def succeeded(self, peer: str) -> None:
        """Note that the peer answered."""

    async def failed(self, peer: str, error: PeerError) -> None:
        """Note that the peer was out of reach or out of order."""

    async def wait_until(self, peer: str, seconds: float) -> None:
        """Let nobody in for the next seconds: the peer said so."""


class NoThrottle:
    """Lets every request through at once."""

    async def admit(self, peer: str) -> None:
        """Return at once."""

    async def succeeded(self, peer: str) -> None:
        """Keep nothing."""

    async def failed(self, peer: str, error: PeerError) -> None:
        """Keep nothing."""

    async def wait_until(self, peer: str, seconds: float) -> None:
        """Keep nothing."""
