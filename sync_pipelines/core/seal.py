"""When a snapshot is good enough to conclude that something is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sweep:
    """What a reader reports about one pass over its side; it fills this in while it reads.

    Attributes:
        identity: who looked at what (chain id, customer, account): the snapshot's scope. Free of secrets.
        declared: number of records the peer says there are, when it says so.
        seen: rows read from the peer, records and ignored ones together.
        ignored: rows that are none of this pair's business (made by hand, of another kind).
        position: where the source stood, e.g. ``{"height": 1200}``.
        gaps: reasons to believe that rows are missing, e.g. a page that had vanished.
        notes: remarks for the run log.
    """

    identity: str = ""
    declared: int | None = None
    seen: int = 0
    ignored: int = 0
    position: dict[str, object] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Previous:
    """The last sealed snapshot of the same side."""

    identity: str
    records: int
    position: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seal:
    """Judgement over a snapshot.

    Attributes:
        incomplete: rows are missing for sure or may be: nothing may be concluded from their absence.
        suspicious: everything was read, but what was read is so different that a person should look.
    """

    incomplete: tuple[str, ...]
    suspicious: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """True when every row was read."""
        return not self.incomplete

    @property
    def sealed(self) -> bool:
        """True when absence means absence."""
        return not self.incomplete and not self.suspicious

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not sealed."""
        return self.incomplete + self.suspicious


def judge_sweep(sweep: Sweep, *, records: int, duplicates: int, previous: Previous | None) -> Seal:
    """Decide whether a full pass may be sealed.

    Arguments:
        sweep: what the reader reported.
        records: distinct records stored.
        duplicates: rows that repeated a key; the listing moved while it was read, so others may have been missed.
        previous: the last sealed snapshot, ``None`` for the first.
    """
    incomplete = list(sweep.gaps)
    if sweep.declared is not None and sweep.declared != sweep.seen - duplicates:
        incomplete.append(f"the peer declares {sweep.declared} rows, {sweep.seen - duplicates} were read")
    if sweep.declared is None and duplicates:
        incomplete.append(f"{duplicates} rows came twice: the listing moved while it was read, others may be missing")
    suspicious = []
    if previous is not None and previous.identity != sweep.identity:
        suspicious.append(f"the scope changed from {previous.identity!r} to {sweep.identity!r}")
    if previous is not None and previous.records and not records:
        suspicious.append(f"the listing is empty, the last one had {previous.records} records")
    if previous is not None:
        suspicious += _gone_back(previous.position, sweep.position)
    return Seal(tuple(incomplete), tuple(suspicious))


def _gone_back(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Say where a source stands earlier than it stood: what came in between looks as if it had been deleted."""
    return [
        f"its {name} went back from {stood} to {stands}: it was reset or restored, or a node that lags behind answers. "
        "Look at it before you approve anything"
        for name, stood in before.items()
        if isinstance(stood, int) and isinstance(stands := now.get(name), int) and stands < stood
    ]
