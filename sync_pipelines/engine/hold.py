"""How long a lease is surely ours, by the clock of this machine."""

from __future__ import annotations

import time

from sync_pipelines.store import leases
from sync_pipelines.store.leases import Lease


class Hold:
    """A lease, and until when it is surely held.

    The time is taken before the lease is taken or renewed, so that it ends a little earlier here than in the database.
    It goes on while the process is stopped (SIGSTOP), which is what it is for.
    """

    def __init__(self, lease: Lease, asked_at: float, seconds: float) -> None:
        self.lease = lease
        self._until = asked_at + seconds

    def renewed(self, asked_at: float, seconds: float) -> None:
        """Note that the lease was renewed; ``asked_at`` is the monotonic time before that was asked for."""
        self._until = asked_at + seconds

    def check(self) -> None:
        """Make sure that the lease is still ours.

        Raises:
            LeaseLost: it may be somebody else's by now.
        """
        if time.monotonic() >= self._until:
            raise leases.lost(self.lease)
