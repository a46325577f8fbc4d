"""What a fault of the table is: how it is switched on, and what a run must make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected

Arm = Callable[[Bench, Side], AbstractContextManager[Opening]]
Request = Literal["anything", "listing", "record", "create", "change", "changes"]
"""What a fault strikes: ``record`` is the reading of a single one, ``change`` the write that moves a record to another
state, ``changes`` are all writes but creates."""

QUICK = Opening(read_delay_seconds=0.01)
"""Reads are sent again at once: the cells do not test the length of a pause."""
ONE_BY_ONE = replace(QUICK, policies={"in_flight": 1})
"""Writes in a fixed order, so that a fault of one request strikes the same record each time."""


WRITES = "POST|PUT|PATCH|DELETE"


class Family(StrEnum):
    """Where a fault comes from."""

    NETWORK = "Network"
    STATUS = "Statuses"
    ECHO = "Repeated credentials"
    LISTING = "Listings"
    VALUE = "Values"
    EVENT = "Events"


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        id: in the test's id.
        meaning: what the peer or the network does.
        sides: which peer may do so.
        arm: switches it on for the time of a block, and says how the pair is to be opened.
        expected: what a run comes to, by side.
        note: what happens beyond the outcome, for the page.
    """

    id: str
    family: Family
    meaning: str
    arm: Arm
    expected: Mapping[Side, Expected]
    note: str = ""

    @property
    def sides(self) -> tuple[Side, ...]:
        """The peers that can have it."""
        return tuple(self.expected)


def on(request: Request, kind: str, opening: Opening | None = None, **options: Any) -> Arm:
    """Return what arms a fault of the stand-in for one kind of request."""

    @contextmanager
    def arm(bench: Bench, side: Side) -> Iterator[Opening]:
        peer = bench.subject.peers[side]
        match request:
            case "listing":
                # Some peers are read by POST; at those that are written to, a POST is a write.
                where = {"path": peer.listing, "method": peer.reads if side == "right" else ".*"}
                where["sent"] = peer.listing_sent
                if "query" not in options:
                    where["query"] = peer.listing_query
            case "create" | "changes":
                path = peer.create if request == "create" else peer.change
                where = {"path": path, "method": WRITES}
            case "change":
                where = {"method": WRITES, **peer.changing(bench.right_key(bench.world.moved))}
            case "record":
                where = {"path": peer.record or peer.change, "method": peer.reads}
            case "anything":
                where = {}
        armed = peer.faults.add(kind, **where, **options)
        yield opening or (QUICK if request in ("listing", "anything") else ONE_BY_ONE)
        assert armed.fired, "the fault never struck"

    return arm


def at(door: Callable[[str], AbstractContextManager[str]], timeout: float = 30.0) -> Arm:
    """Return what leads the pair to another address."""

    @contextmanager
    def arm(bench: Bench, side: Side) -> Iterator[Opening]:
        with door(bench.subject.peers[side].url) as url:
            yield replace(QUICK, urls={side: url}, timeout_seconds=timeout)

    return arm


def both(expected: Expected) -> Mapping[Side, Expected]:
    """Expect the same of either peer."""
    return {"left": expected, "right": expected}


def left(expected: Expected) -> Mapping[Side, Expected]:
    """Expect it of the source only."""
    return {"left": expected}


def right(expected: Expected) -> Mapping[Side, Expected]:
    """Expect it of the target only."""
    return {"right": expected}
