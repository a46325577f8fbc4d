"""What can go wrong at a peer, classified once.

Every client in ``systems/`` maps each failure it can meet to one :class:`FailureKind`; everything above decides by
the kind alone (retry, dead-letter, stop the run, look before writing again).
"""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """How a failed request is to be treated."""

    PERMANENT = "permanent"
    """The peer understood and refused (bad data, forbidden). The same request will be refused again."""
    AUTH = "auth"
    """The credentials are refused. Nothing else will work either: the run stops."""
    TRANSIENT = "transient"
    """The request surely had no effect, or was a read. It may be sent again."""
    AMBIGUOUS = "ambiguous"
    """A write was sent and its outcome is unknown. Look at the target before anything else is written."""
    GONE = "gone"
    """The addressed object does not exist (or is invisible to these credentials)."""
    RATE_LIMITED = "rate_limited"
    """The peer asked to wait; see ``retry_after``."""


class Cause(StrEnum):
    """What a refusal was about, where that decides what people are told of it."""

    DUPLICATE_KEY = "duplicate_key"
    """Another record of the peer has a value that must be unique."""


class SyncError(Exception):
    """Base of all errors that are meant to be read by an operator."""


class PeerError(SyncError):
    """A request to an external system failed.

    Arguments:
        peer: name of the system, e.g. ``"waldur"``.
        kind: how to treat the failure.
        message: what happened, free of secrets, fit for an operator. Kept on one line and without control characters:
            it may quote a stranger, and logs are read on terminals, which obey them.
        status: HTTP status, when an answer arrived.
        retry_after: seconds the peer asked to wait, when it said so.
        key: key of the record concerned, when known.
        operation: method and path, e.g. ``"POST /api/marketplace-provider-offerings/"``.
    """

    def __init__(
        self,
        peer: str,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        key: str | None = None,
        operation: str | None = None,
    ) -> None:
        self.peer = peer
        self.kind = kind
        self.message = message if message.isprintable() else "".join(map(_printable, message))
        self.status = status
        self.retry_after = retry_after
        self.key = key
        self.operation = operation
        super().__init__(str(self))

    @property
    def cause(self) -> Cause | None:
        """What the refusal was about, where the peer said so in a way that its client can tell."""
        return None

    def __str__(self) -> str:
        where = f" [{self.operation}]" if self.operation else ""
        status = f" (HTTP {self.status})" if self.status is not None else ""
        record = f" for {self.key}" if self.key else ""
        return f"{self.peer}{where}{status}{record}: {self.message}"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


class PeerUnavailable(PeerError):
    """The circuit breaker is open: nothing was sent, and no record is to blame."""


class ConfigurationError(SyncError):
    """Settings or the connections file are wrong. The message names the place, the cause and the mend."""


class SelectsNothing(ConfigurationError):
    """What an operator named stands for no record of a connection; it may for one of another."""


class LeaseHeld(SyncError):
    """Another run works on the same scope."""


class LeaseLost(SyncError):
    """The lease of this run expired or was taken over: it must not write any more."""


class PlanRefused(SyncError):
    """A plan may not be applied: held by the guard, stale, or already applied."""


class SnapshotUnsealed(SyncError):
    """A snapshot is not complete enough to act on."""


class DatabaseUnavailable(SyncError):
    """The store's database cannot be used now. What was done is kept, and the next run goes on from there."""


class RunStopped(Exception):
    """Somebody asked the run to stop. What was begun is finished, the rest is left for the next run.

    No :class:`SyncError`: who goes on with the next connection after an error must not go on after this.
    """
