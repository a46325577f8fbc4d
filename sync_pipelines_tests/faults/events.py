"""Events that come wrongly: they only say *look now*, so that each of these costs a look and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import QUICK, Arm, Family, Fault


def _arm(id_: str) -> Arm:
    @contextmanager
    def arm(bench: Bench, side: Side) -> Iterator[Opening]:
        with bench.pair.events[id_].strike(bench.subject, bench.world.edited):
            yield QUICK

    return arm


def _row(id_: str, meaning: str) -> Fault:
    return Fault(f"events-{id_}", Family.EVENT, meaning, _arm(f"events-{id_}"), {"left": Expected(Outcome.UNHARMED)})


EVENTS = (
    _row("duplicated", "an event comes twice"),
    _row("out-of-order", "a later event comes first"),
    _row("gap", "a number is missing in the count of events"),
    _row("burst", "150 events in one block"),
    _row("silent-socket", "the websocket is open and says nothing"),
    _row("unknown-id", "an event names a record that does not exist"),
    _row("height-pruned", "the source has forgotten the heights that were not read yet"),
    _row("height-going-back", "the source stands at an earlier height than before"),
)
