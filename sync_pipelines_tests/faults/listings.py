"""Listings that cannot be believed: what is missing, repeated or miscounted must not be taken for the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.sandbox.faults import Lie, Rewrite
from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import QUICK, Arm, Family, Fault, both, on

GUARDED = replace(QUICK, policies={"guard": GuardLimits(ignore_up_to=1)})
"""As connections are by default, but for worlds as small as these: one record is a quarter of them."""
_PAGE = 2
_ALL = 10_000


def lie(kind: Lie, *, count: int = 1, paged: bool = False, **more: Any) -> Arm:
    """Return what rewrites each listing, on pages of two rows or on one."""

    @contextmanager
    def arm(bench: Bench, side: Side) -> Iterator[Opening]:
        rewrite = Rewrite(kind, count, **more)
        if paged:
            bench.subject.show_pages_of(_PAGE)
        times = bench.subject.peers[side].listing_requests
        with on("listing", "rewrite", GUARDED, rewrite=rewrite, times=times)(bench, side) as opening:
            yield opening
        bench.subject.show_pages_of(_ALL)

    return arm


def _all_at(bench: Bench, side: Side, moment: datetime, *, paged: bool = False) -> AbstractContextManager[Opening]:
    value = moment.strftime(bench.pair.time_forms.get(side, "%Y-%m-%dT%H:%M:%SZ"))
    return lie(Lie.FIELD, count=_ALL, paged=paged, field=bench.pair.times[side], value=value)(bench, side)


def _row(id_: str, meaning: str, arm: Arm, expected: Mapping[Side, Expected], note: str = "") -> Fault:
    return Fault(f"listing-{id_}", Family.LISTING, meaning, arm, expected, note)


def _unsealed(told: str) -> Expected:
    return Expected(Outcome.UNSEALED, told=told)


_LOST_BY_LOOKS = "what seems lost is looked for at the target before it is created again"
_NOT_TO_BE_TOLD = "a lie of the source cannot be told from a deletion; the guard stops a large one"
_HELD = Expected(Outcome.HELD, told="would be retired or archived")

LISTINGS = (
    _row(
        "empty",
        "no rows, and a total of none",
        lie(Lie.EMPTY),
        both(Expected(Outcome.HELD, told=r"not sealed.*the listing is empty, the last one had \d+ records")),
    ),
    _row(
        "short",
        "one row less, and the total agrees",
        lie(Lie.SHORT),
        {"left": _HELD, "right": Expected(Outcome.UNHARMED)},
        f"{_LOST_BY_LOOKS}; {_NOT_TO_BE_TOLD}",
    ),
    _row("wrong-total", "a total that is one too large", lie(Lie.TOTAL), both(_unsealed("counted|declares|is gone"))),
    _row(
        "duplicate-ids",
        "each page repeats the last row of the page before",
        lie(Lie.REPEATED, paged=True),
        both(_unsealed("came twice|brought nothing new")),
    ),
    _row("omitted-ids", "the last row is left out, and counted", lie(Lie.OMITTED), both(_unsealed("counted|is gone"))),
    _row(
        "moving-item",
        "a row moves to the next page while the list is read, and hides another one",
        lambda bench, side: lie(bench.subject.peers[side].twice, paged=True)(bench, side),
        both(_unsealed("came twice|brought nothing new")),
    ),
    _row(
        "looping",
        "every page is the first one again, and more are always to come",
        lie(Lie.CIRCLE, paged=True),
        both(_unsealed("go round in a circle")),
    ),
    _row(
        "half",
        "half as many rows as the last time, and the total agrees",
        lie(Lie.HALF),
        {"left": _HELD, "right": Expected(Outcome.UNHARMED)},
        f"{_LOST_BY_LOOKS}; {_NOT_TO_BE_TOLD}",
    ),
    _row(
        "equal-timestamps",
        "all rows were made at the same moment",
        lambda bench, side: _all_at(bench, side, datetime(2026, 1, 1, tzinfo=UTC), paged=side == "right"),
        both(Expected(Outcome.UNHARMED)),
    ),
    _row(
        "skewed-clock",
        "all rows were made in seventy years",
        lambda bench, side: _all_at(bench, side, datetime(2096, 1, 1, tzinfo=UTC)),
        both(Expected(Outcome.UNHARMED)),
    ),
)
