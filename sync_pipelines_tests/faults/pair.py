"""What only the owner of a pair knows of its faults: which cannot occur, which values are strange, what events are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines_tests.conformance.subject import Side, Subject
from sync_pipelines_tests.faults.expected import Expected

SHOWN_ELSEWHERE = (
    "the engine and the transport are the same for all, and the offerings show each fault at one side at least"
)


@dataclass(frozen=True)
class StrangeValue:
    """A value at the source.

    Attributes:
        fields: what to put into the record, by the names of the source.
        refused: regular expression for the reason why the record cannot be mapped; empty when it can.
        shown: what the target must show of it, by the names of ``Subject.shown``; nothing when it does not matter.
    """

    fields: Mapping[str, Any]
    refused: str = ""
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StrangeRow:
    """A value in one row of the target's listing.

    Attributes:
        name, value: the field.
        expected: what a run comes to.
    """

    name: str
    value: Any
    expected: Expected


@dataclass(frozen=True)
class Followed:
    """What came of following the events of the source for one round.

    Attributes:
        looked_at: natural keys that were looked at, ``None`` when everything was.
        told: warnings and notes on the way.
    """

    looked_at: frozenset[str] | None
    told: str


@dataclass(frozen=True)
class StrangeEvents:
    """Something wrong with the events.

    Attributes:
        strike: makes it so for the time of a block, after the changes of the round were made; is given the key of the
            record that was edited.
        everything: whether everything must be looked at, because something may have been missed.
        told: regular expression for what is told of it.
    """

    strike: Callable[[Subject, str], AbstractContextManager[None]]
    everything: bool = False
    told: str = ""


@dataclass(frozen=True)
class PairFaults:
    """What a pair adds to the table.

    Attributes:
        secrets: every credential of its subject, marked so that it is recognized anywhere.
        absent: why a fault cannot occur, by its id and side: ``listing-looping-left``.
        only: cells that are run, by id and side; ``None`` for all.
        only_because: why the others are not; the documentation tells it.
        expected: what a run comes to where this pair differs from the table, by id and side.
        times: name of the field that holds a row's time, by side.
        time_forms: how such a time is written, as ``strftime`` has it, where that is not ISO 8601 with a ``Z``.
        put: puts fields into a record at the source, raw, and returns what undoes it. ``None`` is a null,
            :data:`sync_pipelines.sandbox.rewriting.REMOVED` leaves a field out.
        values: strange values at the source, by id.
        rows: strange values at the target, by id.
        events: strange events, by id; empty for a source without events.
        follow: follows the events for one round.
        requests: most requests that a peer may see in a run that goes through.
        rounds: how many cells may share a world, which keeps what was retired.
    """

    secrets: tuple[str, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] | None = None
    only_because: str = ""
    expected: Mapping[str, Expected] = field(default_factory=dict)
    times: Mapping[Side, str] = field(default_factory=dict)
    time_forms: Mapping[Side, str] = field(default_factory=dict)
    put: Callable[[Subject, str, Mapping[str, Any]], Callable[[], object]] | None = None
    values: Mapping[str, StrangeValue] = field(default_factory=dict)
    rows: Mapping[str, StrangeRow] = field(default_factory=dict)
    events: Mapping[str, StrangeEvents] = field(default_factory=dict)
    follow: Callable[[Subject], Followed] | None = None
    requests: int = 40
    rounds: int = 40
