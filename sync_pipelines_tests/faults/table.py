"""The table: every fault, every registered pipeline, every side that can have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sync_pipelines_tests.conformance.subject import Registration, Side
from sync_pipelines_tests.faults.echoes import ECHOES
from sync_pipelines_tests.faults.events import EVENTS
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import Family, Fault
from sync_pipelines_tests.faults.listings import LISTINGS
from sync_pipelines_tests.faults.network import NETWORK
from sync_pipelines_tests.faults.pair import PairFaults
from sync_pipelines_tests.faults.registry import FAULTY
from sync_pipelines_tests.faults.statuses import STATUSES
from sync_pipelines_tests.faults.values import VALUES

FAULTS: tuple[Fault, ...] = (*NETWORK, *STATUSES, *ECHOES, *LISTINGS, *VALUES, *EVENTS)


@dataclass(frozen=True)
class Cell:
    """A fault at one peer of one pipeline.

    Attributes:
        absent: why it cannot occur there; empty when it can.
    """

    registration: Registration
    pair: PairFaults
    fault: Fault
    side: Side
    absent: str = ""

    @property
    def id(self) -> str:
        """The test's id."""
        return f"{self.registration.name}-{self.fault.id}-{self.side}"

    @property
    def expected(self) -> Expected:
        """What a run must come to."""
        own = self.pair.expected.get(f"{self.fault.id}-{self.side}")
        if own is not None:
            return own
        if self.fault.family is not Family.VALUE:
            return self.fault.expected[self.side]
        if self.side == "right":
            return self.pair.rows[self.fault.id].expected
        refused = self.pair.values[self.fault.id].refused
        return Expected(Outcome.REFUSED, told=refused, letters=1) if refused else Expected(Outcome.UNHARMED)


def table() -> list[Cell]:
    """Return every cell in the order of the table, those that cannot occur included, those that are not run left out.

    Raises:
        LookupError: a pipeline neither has a fault nor says why not.
    """
    return [cell for registration, pair in FAULTY for fault in FAULTS for cell in _cells(registration, pair, fault)]


def cells() -> list[Cell]:
    """Return the cells that can occur."""
    return [cell for cell in table() if not cell.absent]


def left_out(registration: Registration, pair: PairFaults) -> int:
    """Return how many cells of a pipeline could occur and are not run.

    Raises:
        LookupError: some are not, and nothing says why.
    """
    every = [cell for fault in FAULTS for cell in _cells(registration, replace(pair, only=None), fault)]
    run = [cell for fault in FAULTS for cell in _cells(registration, pair, fault)]
    if len(run) < len(every) and not pair.only_because:
        raise LookupError(f"{registration.name}: {len(every) - len(run)} cells are not run, and nothing says why")
    return len(every) - len(run)


def _cells(registration: Registration, pair: PairFaults, fault: Fault) -> Iterator[Cell]:
    for side in fault.sides:
        if fault.family is Family.VALUE and side == "right" and fault.id not in pair.rows:
            continue  # the target shows what it was given; a pair names the values that it may show all the same
        reason = pair.absent.get(f"{fault.id}-{side}", "")
        if not reason and not _has(pair, fault, side):
            raise LookupError(f"{registration.name}: {fault.id}-{side} is neither given nor explained")
        if reason or pair.only is None or f"{fault.id}-{side}" in pair.only:
            yield Cell(registration, pair, fault, side, reason)


def _has(pair: PairFaults, fault: Fault, side: Side) -> bool:
    match fault.family:
        case Family.VALUE:
            return fault.id in (pair.values if side == "left" else pair.rows)
        case Family.EVENT:
            return fault.id in pair.events
        case _:
            return True
