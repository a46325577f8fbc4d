"""What the conformance kit, the kill matrix and the fault table need to know of a pair: its subject.

A subject is one connection of a pipeline with both peers as strict stand-ins over real HTTP. It edits the peers as
their owners would and tells what they show; it never looks into the engine's tables, which are the same for all pairs.
What not every subject can do is a :class:`Capability`: checks that need one are collected only where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from sqlalchemy import Engine

from sync_pipelines.engine.ports import Pair
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import LoggedRequest
from sync_pipelines.sandbox.rewriting import Lie

Side = Literal["left", "right"]
Step = Literal["create", "change"]
"""A write at the target: the one that creates a record, or any later one."""
Opener = Callable[[Engine], AbstractAsyncContextManager[Pair]]
"""Opens the pair on a database. Can be pickled, so that a process of its own can run it."""


class Capability(StrEnum):
    """What a subject may or may not have; its registration names what it has."""

    SERVED = "served"
    """Both peers are HTTP servers: :attr:`Subject.peers` switches their faults and knows what they were asked."""
    CREDENTIALS = "credentials"
    """The target is reached with credentials, which :attr:`Subject.secrets` names and the target can refuse."""
    RATE_LIMIT = "rate limit"
    """``requests_per_second`` and ``burst`` of an :class:`Opening` limit what the target is asked."""
    TOTALS = "totals"
    """A listing of the target comes in pages and tells how many rows there are, so that a missing one is noticed."""
    STATES = "states"
    """Records have a state, whose changes the pair counts apart."""
    INVALID = "invalid"
    """A record of the source that cannot be mapped is dead-lettered; elsewhere it is withheld with the reason."""
    DRAFTS = "drafts"
    """A create makes part of a record, and a write the rest."""
    BLANKS = "blanks"
    """Line ends and odd blanks are kept in what people write; elsewhere it is one line with plain blanks."""
    LEAVES_UNTRACKED = "leaves untracked"
    """What is at the target only, and was never linked, is reported and never touched."""
    RETIRES_UNTRACKED = "retires untracked"
    """What is at the target only is taken out of service as if it had been linked."""


EVERYTHING = frozenset(Capability)


class Mishap(StrEnum):
    """What comes of a write at the target instead of its usual end."""

    REFUSED = "refused"
    """Refused for good, as bad data is."""
    ROLLED_BACK = "rolled back"
    """An internal error of the server; nothing was done."""
    ERROR_AFTER_COMMIT = "error after commit"
    """An internal error of the server; everything was done."""
    REPLY_LOST = "reply lost"
    """Everything was done, and no answer came."""
    UNAUTHORIZED = "unauthorized"
    """The credentials are refused."""


class Skew(StrEnum):
    """What is wrong with a listing of the target."""

    ROW_MISSING = "a row is missing"
    """The count is right, the last row of each page is left out."""
    TOTAL_TOO_LARGE = "the total is too large"
    """All rows are there, the peer counts one more."""
    ROW_TWICE = "a row comes twice"
    """The last row of a page is on the next one again, in another's place, so that the count agrees."""


@dataclass(frozen=True)
class ServedPeer:
    """One peer, served on loopback.

    Attributes:
        name: as errors call it.
        url: where the pair finds it.
        faults: switches its faults.
        requests: what it was asked so far, in order.
        change: regular expression for the paths of requests that change one record after its creation.
        create: regular expression for the path of the one request that creates a record.
        listing: regular expression for the paths of a full pass.
        listing_query: regular expression for the query of its pages, where other requests share the path.
        listing_requests: how many requests a full pass takes, where later looks at single records send the same ones;
            ``None`` where they do not.
        change_of: regular expression for the paths of requests that change one record, with its right key as ``{key}``.
        reads: regular expression for the methods of requests that read, at a peer that is written to.
        record: regular expression for the paths of requests that read one record; empty for those of ``change``.
        listing_sent: regular expression for the bodies of a listing's requests, where paths do not tell them.
        change_sent_of: regular expression for the bodies of requests that change one record, as ``change_of``.
        twice: what shows a row twice and hides another one.
    """

    name: str
    url: str
    faults: FaultInjector
    requests: Sequence[LoggedRequest]
    listing: str
    listing_query: str = ""
    create: str = "^$"
    change: str = "^$"
    listing_requests: int | None = None
    change_of: str = "{key}"
    reads: str = "GET|HEAD"
    record: str = ""
    listing_sent: str = ""
    change_sent_of: str = ""
    twice: Lie = Lie.MOVED

    def changing(self, right_key: str) -> dict[str, str]:
        """Return how a fault finds the requests that change one record."""
        return {
            "path": self.change_of.format(key=right_key),
            "sent": self.change_sent_of.replace("{key}", re.escape(right_key)),
        }


@dataclass(frozen=True)
class Opening:
    """How a pair is to be opened; what is left out is as the subject's usual connection has it.

    Attributes:
        urls: other addresses of peers, by side.
        timeout_seconds: for each step of a request.
        read_delay_seconds: pause before a read is sent again.
        requests_per_second: rate limit of the right peer.
        burst: requests that may be sent at once under that limit.
        policies: attributes of the :class:`Pair` to replace, e.g. ``in_flight`` or ``quiet_seconds``.
    """

    urls: Mapping[Side, str] = field(default_factory=dict)
    timeout_seconds: float = 30.0
    read_delay_seconds: float | None = None
    requests_per_second: float | None = None
    burst: int = 10
    policies: Mapping[str, Any] = field(default_factory=dict)


USUAL = Opening()


class Subject(Protocol):
    """One connection of a pipeline, its peers, and what their owners may do."""

    @property
    def engine(self) -> Engine:
        """The store's database."""
        ...

    @property
    def pair_name(self) -> str:
        """Name of the pair of systems, e.g. ``offerings``."""
        ...

    @property
    def scope_name(self) -> str:
        """Name of the connection."""
        ...

    @property
    def peers(self) -> Mapping[Side, ServedPeer]:
        """Both peers."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """Every credential that the peers accept, as it travels; none may turn up anywhere else."""
        ...

    def opener(self, opening: Opening = USUAL) -> Opener:
        """Return what opens the pair through its real clients."""
        ...

    def add(self, count: int = 1) -> list[str]:
        """Add records at the source and return their keys."""
        ...

    def edit(self, key: str) -> None:
        """Give a record at the source a value it did not have before."""
        ...

    def rename(self, key: str, text: str) -> None:
        """Put a text into a field that people write freely."""
        ...

    def change_state(self, key: str) -> None:
        """Move a record at the source to another state, or switch it off or on."""
        ...

    def remove(self, key: str) -> None:
        """Delete a record at the source."""
        ...

    def spoil(self, key: str) -> None:
        """Give a record at the source a value that cannot be mapped."""
        ...

    def mend(self, key: str) -> None:
        """Undo :meth:`spoil`."""
        ...

    def bring_back(self, key: str) -> None:
        """Undo :meth:`remove`: the record is there again, with its old key and contents."""
        ...

    def natural_key(self, key: str) -> str:
        """Return the natural key under which a record of the source is found at the target."""
        ...

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        """Return natural key -> contents of all records of the target that carry it, without generated ids or times.

        Records out of service are among them.
        """
        ...

    def traces(self) -> Any:
        """Return what else the target keeps of the changes that were made, such as a history, without times."""
        ...

    def in_service(self, natural_key: str) -> int:
        """Return how many records of the target with this natural key are in service."""
        ...

    def edit_right(self, natural_key: str) -> None:
        """Change a mapped field of a record at the target, but not the one that :meth:`edit` changes."""
        ...

    def overwrite_right(self, natural_key: str) -> None:
        """Change the field that :meth:`edit` changes at the target, as a person would."""
        ...

    def delete_right(self, natural_key: str) -> None:
        """Delete a record at the target, the newest when several claim the natural key."""
        ...

    def double_right(self, natural_key: str) -> None:
        """Make a second record at the target that claims the same natural key."""
        ...

    def stray(self) -> str:
        """Make a record at the target that looks like one of the pair's but has no source; return its natural key."""
        ...

    def hinder(self, step: Step, mishap: Mishap, *, times: int | None = 1, skip: int = 0) -> None:
        """Let writes at the target meet a mishap.

        Arguments:
            times: how often, ``None`` for ever.
            skip: number of writes of this kind that go well first.
        """
        ...

    def relent(self) -> None:
        """Undo every :meth:`hinder`."""
        ...

    def show_pages_of(self, rows: int) -> None:
        """Let a listing of the target have at most this many rows a page."""
        ...

    def skewed(self, skew: Skew) -> AbstractContextManager[None]:
        """Skew the target's listing within the block; single records are shown as ever."""
        ...

    def commits(self) -> int:
        """Return how many writes the target committed so far."""
        ...

    def creates(self) -> int:
        """Return how many records the target created so far at the request of a client."""
        ...


@dataclass(frozen=True)
class Registration:
    """Makes a pipeline a subject of the kit.

    Attributes:
        name: of the pipeline, also in test ids.
        opened: serves the peers of an empty world until the block is left.
        can: what the subject has of what not every subject needs to have.
        dies_at: labels of the points of the kill matrix that are run for it, where the others would show the engine
            once more; ``None`` for all.
    """

    name: str
    opened: Callable[[Engine], AbstractContextManager[Subject]]
    can: frozenset[Capability] = EVERYTHING
    dies_at: frozenset[str] | None = None

    def is_killed_at(self, *labels: str) -> bool:
        """Whether runs of it are killed at all of these points."""
        return self.dies_at is None or self.dies_at.issuperset(labels)
