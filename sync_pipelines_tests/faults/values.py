"""Values that no schema thought of. What can be mapped arrives as it is; the rest is refused with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sync_pipelines.sandbox.faults import Lie
from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import QUICK, Arm, Family, Fault
from sync_pipelines_tests.faults.listings import lie

_BY_THE_PAIR = Expected(Outcome.UNHARMED)
"""What comes of a value is for the pair to say."""


def _arm(id_: str) -> Arm:
    @contextmanager
    def arm(bench: Bench, side: Side) -> Iterator[Opening]:
        if side == "right":
            row = bench.pair.rows[id_]
            with lie(Lie.FIELD, field=row.name, value=row.value)(bench, side) as opening:
                yield opening
            return
        assert bench.pair.put is not None
        undo = bench.pair.put(bench.subject, bench.world.kept, bench.pair.values[id_].fields)
        yield QUICK
        undo()

    return arm


def _row(id_: str, meaning: str) -> Fault:
    return Fault(id_, Family.VALUE, meaning, _arm(id_), {"left": _BY_THE_PAIR, "right": _BY_THE_PAIR})


VALUES = (
    _row("value-null", "null in a text"),
    _row("value-missing", "a text that is missing"),
    _row("value-empty", "an empty text"),
    _row("value-cut-surrogate", "a text of 255 characters that was cut inside a surrogate pair"),
    _row("value-nfd", "a text in NFD where NFC is usual"),
    _row("value-emoji", "emoji with joiners and skin tones"),
    _row("value-tiny", "1e-18 as an amount"),
    _row("value-2^63", "2^63 as an amount"),
    _row("value-nan", "NaN as a number"),
    _row("value-1970", "a date of 1970"),
    _row("value-2999", "a date of 2999"),
    _row("value-unknown-enum", "a state that nobody knows"),
    _row("value-new-field", "a field that nobody knows"),
    _row("value-5-mb", "a text of 5 MB"),
)
