"""The fault table: whatever a peer does, nothing is lost, done twice or concluded from it, and errors say enough."""

from __future__ import annotations

import re
import traceback

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError, SnapshotUnsealed
from sync_pipelines_tests.faults.bench import Bench, Disturbed
from sync_pipelines_tests.faults.conftest import Benches, marks_of_all
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import Family
from sync_pipelines_tests.faults.listings import GUARDED
from sync_pipelines_tests.faults.marks import Ear, leaks_in_database
from sync_pipelines_tests.faults.table import Cell, cells

CELLS = cells()
MARKS = marks_of_all()


@pytest.mark.parametrize("cell", CELLS, ids=[cell.id for cell in CELLS])
def test_fault(cell: Cell, benches: Benches, ear: Ear) -> None:
    bench = benches.of(cell.registration, cell.pair)
    bench.spoiled = True
    (follow if cell.fault.family is Family.EVENT else disturb)(bench, cell)
    bench.in_service()
    bench.heal()
    bench.ends_as_the_twin()
    assert ear.leaks == []
    bench.spoiled = False


def test_no_secret_was_told(ear: Ear, engines: list[Engine]) -> None:
    assert ear.heard, "the table ran before"
    assert ear.leaks == []
    assert [leak for engine in engines for leak in leaks_in_database(engine, ear.marks)] == []


def disturb(bench: Bench, cell: Cell) -> None:
    """Let a fault strike a run, or two, and assert what comes of it."""
    bench.change()
    with cell.fault.arm(bench, cell.side) as opening:
        disturbed = bench.run(opening)
        if cell.expected.again is not None:
            again = bench.run(opening)
            assert again.requests[cell.side] <= cell.expected.again, again
        check(bench, cell, disturbed)
        if cell.fault.family is Family.VALUE and cell.side == "left":
            shown = bench.subject.shown()[bench.subject.natural_key(bench.world.kept)][0]
            wanted = cell.pair.values[cell.fault.id].shown
            assert {name: shown[name] for name in wanted} == wanted


def follow(bench: Bench, cell: Cell) -> None:
    """Follow events of which something is wrong, and assert that what they name was looked at."""
    case, subject = cell.pair.events[cell.fault.id], bench.subject
    assert cell.pair.follow is not None
    cell.pair.follow(subject)
    bench.change()
    with cell.fault.arm(bench, cell.side):
        followed = cell.pair.follow(subject)
        disturbed = bench.run(GUARDED)
    assert re.search(case.told, followed.told), followed
    assert (followed.looked_at is None) is case.everything, followed
    if followed.looked_at is not None:
        assert subject.natural_key(bench.world.edited) in followed.looked_at
    assert disturbed.error is None


def check(bench: Bench, cell: Cell, disturbed: Disturbed) -> None:
    """Assert that a run came to what is expected while the fault was on."""
    expected, peer = cell.expected, bench.subject.peers[cell.side].name
    most = cell.pair.requests if expected.requests is None else expected.requests
    assert disturbed.requests[cell.side] <= most, disturbed
    assert disturbed.seconds <= expected.seconds
    match expected.outcome:
        case Outcome.STOPS | Outcome.BREAKS_OFF:
            assert isinstance(disturbed.error, PeerError), disturbed
            assert MARKS.found_in("".join(traceback.format_exception(disturbed.error))) == []
            assert disturbed.error.kind in expected.kinds
            must_tell(str(disturbed.error), peer, expected)
            assert bench.errors() == {} or expected.outcome is Outcome.BREAKS_OFF
        case Outcome.UNSEALED:
            assert isinstance(disturbed.error, SnapshotUnsealed), disturbed
            assert re.search(expected.told, str(disturbed.error))
        case Outcome.HELD:
            assert disturbed.error is None, disturbed
            assert disturbed.done is not None
            assert disturbed.done.applied is None
            assert re.search(expected.told, "; ".join(disturbed.done.plan.held_reasons))
        case Outcome.REFUSED:
            assert disturbed.error is None, disturbed
            (letter,) = bench.operator.letters()
            assert letter.key == bench.world.kept
            assert re.search(expected.told, letter.last_error), letter
        case Outcome.FAILS | Outcome.UNHARMED:
            assert disturbed.error is None, disturbed
            assert disturbed.done is not None
            assert disturbed.done.applied is not None
            assert disturbed.done.applied.failed == expected.failed
            errors = bench.errors()
            assert len(errors) == expected.failed
            for text in errors.values():
                must_tell(text, peer, expected)
    assert len(bench.operator.letters()) == expected.letters
    if expected.retry_in is not None:
        low, high = expected.retry_in
        waits = bench.waits()
        assert len(waits) == 1, waits
        assert low <= waits[0] <= high, waits


def must_tell(text: str, peer: str, expected: Expected) -> None:
    """Assert that an error is one that a person can act on: place, cause, and no more than a few lines of it."""
    assert text.startswith(f"{peer} ["), text
    assert re.search(expected.told, text), text
    assert len(text) < 700, text
    assert not re.search(r"Traceback|<[a-z/]|\n| at 0x", text), text
    assert MARKS.found_in(text) == []
