"""What the engine needs to know of a pair of systems: two small protocols and a description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.plan import Change
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.core.seal import Sweep
from sync_pipelines.core.trees import same_field


class Source(Protocol):
    """A side that can be read."""

    def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every record, page by page, and fill in the report while doing so."""
        ...

    def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the records with these natural keys; those that do not exist are simply not yielded."""
        ...


class Target(Source, Protocol):
    """A side that can be written, one record at a time."""

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every record with this natural key, read from the peer now."""
        ...

    async def read(self, right_key: str) -> Record | None:
        """Return one record, read from the peer now; ``None`` when it does not exist."""
        ...

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a record and return its right key.

        Only the first step: fields that need further calls are written by :meth:`write` afterwards. Exactly one
        request may be able to create something, so that a lost reply leaves one question to answer.
        """
        ...

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields of an existing record to ``content``, with the fewest requests.

        Must be safe to repeat.
        """
        ...

    async def retire(self, current: Record) -> None:
        """Take a record out of service because its source is gone. Must be safe to repeat."""
        ...


def nothing_blocked(before: Content, after: Content, fields: Sequence[str]) -> Mapping[str, str]:
    """Let every field through."""
    return {}


def nothing_out_of_service(content: Content) -> bool:
    """Treat every record as in service."""
    return False


def retired_for_all_we_know(content: Content) -> bool:
    """Believe every retirement that the target accepted."""
    return True


def everything_creatable(content: Content) -> str | None:
    """Let every record be created."""
    return None


def nothing_untracked(content: Content) -> str | None:
    """Leave alone whatever is at the target only."""
    return None


def nobody_asked(change: Change) -> str | None:
    """Let every change through that the guard lets through."""
    return None


def nothing_destructive(before: Content | None, after: Content) -> bool:
    """Treat no update as destructive."""
    return False


@dataclass(frozen=True)
class Pair:
    """Two connected sides and the policies between them.

    Attributes:
        name: pair of systems, e.g. ``"offerings"``.
        scope: the connection, e.g. ``"nordlys"``.
        left: the source; it owns every field.
        right: the target.
        peers: names of the two systems, left and right, for messages.
        state_field: content field that holds the record's state, counted apart in summaries.
        alike: ``(field, wanted, found) -> bool``: whether the target shows what it was told, for targets whose way of
            showing it is known (prices printed as floats).
        lenient_fields: fields the target may store otherwise than sent (cleaned HTML): what was read back counts. When
            the reply to a write was lost, it counts if it may be a cleaned form of what was sent.
        blocked: ``(before, after, fields) -> {field: reason}``: fields only a person can bring through.
        out_of_service: ``content -> bool``: a record wanted out of service, whose held-back fields are no drift: nobody
            is served by them, and they are written when it comes back.
        retired: ``content -> bool``: whether the target shows a record as retired, read back after it was.
        not_creatable: ``content -> reason`` for records that need no counterpart, else ``None``.
        destructive: ``(before, after) -> bool``: does this update retire or archive.
        retires: whether a record that is gone at the source is retired on the right, or only reported.
        untracked: ``content -> reason`` why a record at the target has to be taken out of service (again), whose source
            is not there: one that was never linked, or one that is linked and was retired before. ``None`` leaves it:
            never linked it is reported as an orphan. It is asked by every full pass, so that a record may be retired
            in several steps (orphaned, stale, removed).
        minds_misplaced: whether what the target keeps apart by itself is reported. Where records are merged, the merge
            has heard of it, and nothing is to be done.
        approval: ``change -> reason`` why a person has to approve this change, whatever the guard's limits: it goes on
            from "3 records", as in ``would be removed for good``. Such changes wait in a plan of their own. ``None``
            asks nobody.
        quiet_seconds: how long a create whose reply was lost may still be running at the peer.
        in_flight: records written at the same time; never more than one request for one record.
        audit_names: names of key, right key and scope in audit entries, as the seed documents them.
        audit_scope: value of the scope in audit entries.
        metric_prefix: what the pair's metric names start with.
        renames: whether a record of the source may turn up under another key. What is known of it then
            follows the natural key, and nothing is retired whose natural key is still claimed at the source.
        known_links: links from a hand-made map, taken once for records not linked yet.
    """

    name: str
    scope: str
    left: Source
    right: Target
    peers: tuple[str, str]
    guard: GuardLimits = field(default_factory=GuardLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    state_field: str | None = None
    alike: Callable[[str, object, object], bool] = same_field
    lenient_fields: frozenset[str] = frozenset()
    blocked: Callable[[Content, Content, Sequence[str]], Mapping[str, str]] = nothing_blocked
    out_of_service: Callable[[Content], bool] = nothing_out_of_service
    retired: Callable[[Content], bool] = retired_for_all_we_know
    not_creatable: Callable[[Content], str | None] = everything_creatable
    destructive: Callable[[Content | None, Content], bool] = nothing_destructive
    retires: bool = True
    untracked: Callable[[Content], str | None] = nothing_untracked
    minds_misplaced: bool = True
    approval: Callable[[Change], str | None] = nobody_asked
    quiet_seconds: float = 60.0
    in_flight: int = 4
    audit_names: tuple[str, str, str] = ("key", "right_key", "scope")
    audit_scope: str = ""
    metric_prefix: str = "sync"
    renames: bool = False
    known_links: Mapping[str, str] = field(default_factory=dict)

    @property
    def minds_untracked(self) -> bool:
        """True when what is at the target only may be the pair's business."""
        return self.untracked is not nothing_untracked

    @property
    def asks(self) -> bool:
        """True when there may be changes that need a person."""
        return self.approval is not nobody_asked

    @property
    def full_name(self) -> str:
        """Name for messages, e.g. ``offerings/nordlys``."""
        return f"{self.name}/{self.scope}"
